"""The submitter's half of a system with workers of its own: stopped twice, it leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.core.backend import services_of
from lab.planning import registry
from tests.contract import stopping
from tests.contract.test_backends import LABELS, left_behind
from tests.factories.trials import ask_beside, spec_of


def clients() -> list[list[str]]:
    """Group the labels of systems that are not all in the driver, by system and its servers."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for label in LABELS:
        chosen = registry.select(label)
        servers = services_of(chosen.backend, chosen.variant)
        if registry.has_own_workers(chosen) or servers:
            groups.setdefault((chosen.name, *servers), []).append(label)
    return list(groups.values())


@pytest.mark.slow
@pytest.mark.parametrize("labels", clients(), ids=lambda labels: labels[0])
def test_a_client_that_is_stopped_twice_leaves_nothing(
    labels: list[str], tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread, socket, file or process in its own process, and none of its cluster either."""
    chosen = registry.select(labels[0])
    monkeypatch.setattr(chosen.backend, "node_commands", lambda _: ())
    # A trial of its own: one test beside another must not take its processes for what is left.
    spec = spec_of(labels[0], seed=7)
    _, _, told = ask_beside(tmp_path, spec, stopping, *labels)
    assert json.loads(told.splitlines()[-1]) == {label: [] for label in labels}
    assert left_behind(spec.id) == []
    assert list(temporary.iterdir()) == []
