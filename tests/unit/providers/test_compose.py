"""Tests the reason of a trial whose container ended between two calls of the engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.core.errors import ClusterError
from lab.providers import compose
from lab.providers.compose import ComposeCluster
from lab.providers.compose_parts import ContainerPart
from lab.providers.container_events import Death
from tests.factories.trials import run, spec_of

REFUSED = "The container engine failed: Container c0ffee is not running. Run: lab doctor"


class LateEvents:
    """The events of an engine: that of a container's end is not there at the first look."""

    def __init__(self, *deaths: Death) -> None:
        self._looks = iter([[], deaths])

    def deaths(self) -> Iterator[Death]:
        """Yield the deaths since the last call."""
        yield from next(self._looks, [])


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the engine by one that only has the log of a container, and removes nothing."""
    api = SimpleNamespace(logs=lambda *_, **__: [b"starting\n", b"no such queue\n"])

    @contextlib.contextmanager
    def fake(_: str = "") -> Iterator[Any]:
        yield SimpleNamespace(api=api)

    monkeypatch.setattr(compose, "engine", fake)
    monkeypatch.setattr(ComposeCluster, "down", lambda _: 0)


def refusing(monkeypatch: pytest.MonkeyPatch, *deaths: Death) -> None:
    """Let the start of each cluster fail as the engine refuses a call in an ended container."""

    def up(cluster: ComposeCluster) -> None:
        cluster.site.logs.mkdir()
        cluster.parts["node0"] = ContainerPart("c0ffee", "lab-node", None)
        cluster._events = LateEvents(*deaths)  # type: ignore[assignment]
        raise ClusterError(REFUSED)

    monkeypatch.setattr(ComposeCluster, "up", up)


@pytest.mark.usefixtures("engine")
def test_a_container_that_ended_before_a_call_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine refuses the call before its event of the end arrives."""
    refusing(monkeypatch, Death("die", "node0", "1"))
    row = run(tmp_path, spec_of("celery[prefork]", provider="compose")).row
    assert (row.status, row.reason) == ("failed", "node0 ended with code 1: no such queue")


@pytest.mark.usefixtures("engine")
def test_an_error_without_an_ended_container_is_the_reason_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is blamed that still runs."""
    monkeypatch.setattr(compose, "EVENT_S", 0.1)
    refusing(monkeypatch)
    row = run(tmp_path, spec_of("celery[prefork]", provider="compose")).row
    assert (row.status, row.reason) == ("failed", REFUSED)


@pytest.mark.usefixtures("engine")
def test_the_first_death_stays_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event comes once, and the status of a trial is read several times."""
    clusters = list[ComposeCluster]()
    refusing(monkeypatch, Death("die", "node0", "1"), Death("die", "redis", "137"))

    def down(cluster: ComposeCluster) -> int:
        clusters.append(cluster)
        return 0

    monkeypatch.setattr(ComposeCluster, "down", down)
    run(tmp_path, spec_of("celery[prefork]", provider="compose"))
    assert clusters[0].failure() == "node0 ended with code 1: no such queue"
