"""Tests the restart of a container that ends again at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.core.errors import ClusterError
from lab.providers import compose_faults
from lab.providers.compose_parts import ContainerPart
from tests.cluster.containers import cluster_of
from tests.factories.trials import spec_of


@pytest.mark.parametrize("is_running", [False, True])
def test_a_worker_that_ends_again_at_once_fails_no_restart(
    is_running: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine refuses to run the agent in it; in a container that runs this is an error."""
    state = {"Pid": 7, "Running": is_running, "ExitCode": 1}
    inspect = {"State": state}
    api = SimpleNamespace(start=lambda _: None, inspect_container=lambda _: inspect)

    @contextlib.contextmanager
    def fake(_: str = "") -> Iterator[Any]:
        yield SimpleNamespace(api=api)

    def refuse(*_: object) -> None:
        raise ClusterError("Container c0ffee is not running.")

    monkeypatch.setattr(compose_faults, "engine", fake)
    monkeypatch.setattr(compose_faults, "WAIT_S", 0.0)
    monkeypatch.setattr(ContainerPart, "get_agent", refuse)
    cluster = cluster_of(spec_of("rq", provider="compose"), tmp_path)
    cluster.parts["node0"] = ContainerPart("c0ffee", "lab-node", None)
    cluster._dead.add("node0")
    expected = pytest.raises(ClusterError) if is_running else contextlib.nullcontext()
    with expected:
        cluster.restart("node0")
    assert cluster.dead_parts() == []
