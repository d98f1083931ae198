"""Tests that the clients of backends with worker processes release all resources when stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.core.backend import services_of
from lab.planning import registry
from tests.contract import stopping
from tests.contract.test_backends import LABELS, remaining_processes
from tests.factories.trials import ask_beside, spec_of


def clients() -> list[list[str]]:
    """Return the labels with worker processes or servers, grouped by backend and servers."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for label in LABELS:
        chosen = registry.select(label)
        servers = services_of(chosen.backend, chosen.variant)
        if registry.has_worker_processes(chosen) or servers:
            groups.setdefault((chosen.name, *servers), []).append(label)
    return list(groups.values())


@pytest.mark.slow
@pytest.mark.parametrize("labels", clients(), ids=lambda labels: labels[0])
def test_stopped_client_releases_all_resources(
    labels: list[str], tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After two calls of `stop`, neither its process nor its cluster has resources left."""
    chosen = registry.select(labels[0])
    monkeypatch.setattr(chosen.backend, "node_commands", lambda _: ())
    # A separate seed, so that the processes of concurrent tests belong to another trial.
    spec = spec_of(labels[0], seed=7)
    _, _, output = ask_beside(tmp_path, spec, stopping, *labels)
    assert json.loads(output.splitlines()[-1]) == {label: [] for label in labels}
    assert remaining_processes(spec.id) == []
    assert list(temporary.iterdir()) == []
