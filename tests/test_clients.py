"""The submitter's half of a system with workers of its own: stopped twice, it leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import registry, trial
from lab.backend import services_of
from lab.clusters.local import LocalCluster
from lab.specs import Order, order_to_json
from tests import stopping
from tests.test_contract import LABELS, left_behind
from tests.trials import spec_of


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
    spec = spec_of(labels[0])
    outcome = trial.Outcome(spec, 1, tmp_path / spec.id, trial.place(spec), 0, "")
    site = trial._site(outcome)
    cluster = LocalCluster(site)
    try:
        order = Order(spec, cluster.up())
        (site.folder / "trial.json").write_text(json.dumps(order_to_json(order)))
        environment = {**os.environ, **site.environment, **cluster._ledger_environment(0, 0)}
        command = [sys.executable, "-m", stopping.__name__, str(site.folder), *labels]
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
    finally:
        cluster.down()
    assert json.loads(told.stdout.splitlines()[-1]) == {label: [] for label in labels}
    assert left_behind(spec.id) == []
    assert list(temporary.iterdir()) == []
