"""Tests that only engine objects of dead labs are removed, recognized by their labels alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.host import processes
from lab.providers import reaper
from lab.providers.reaper import Remains
from tests.factories.fake_engine import FakeEngine, listening

HERE = processes.realm()
MINE = processes.owner()
DEAD = f"{HERE}:999999999:1.00"
ELSEWHERE = "another-boot/1:12:3.00"


@pytest.fixture
def engine(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeEngine]:
    """Replace the engine by one without objects."""
    machine = FakeEngine(tmp_path)
    with listening(machine, temporary / "socket") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        yield machine


def test_reap_dead_removes_only_objects_of_dead_labs_and_containers_first(
    engine: FakeEngine,
) -> None:
    """Containers are removed before the networks and volumes that they use."""
    engine.objects = [
        Remains("volume", "v-dead", "run-1", DEAD, running=False),
        Remains("network", "n-dead", "run-1", DEAD, running=False),
        Remains("container", "c-dead", "run-1", DEAD, running=True),
        Remains("container", "c-mine", "run-2", MINE, running=False),
        Remains("network", "n-mine", "run-2", MINE, running=False),
    ]
    assert reaper.reap_dead() == 3
    assert engine.removed[0] == "c-dead"
    assert sorted(engine.removed) == ["c-dead", "n-dead", "v-dead"]
    assert reaper.reap_dead() == 0


@pytest.mark.parametrize(("running", "removed"), [(True, 0), (False, 2)])
def test_a_lab_of_another_machine_is_dead_if_none_of_its_containers_runs(
    running: bool, removed: int, engine: FakeEngine
) -> None:
    """An engine may serve several machines, whose processes are not visible here."""
    engine.objects = [
        Remains("container", "c", "run-1", ELSEWHERE, running),
        Remains("network", "n", "run-1", ELSEWHERE, running=False),
    ]
    assert reaper.reap_dead() == removed


def test_remains_filters_by_the_label_of_the_run(engine: FakeEngine) -> None:
    """The engine filters by label; names of objects do not matter."""
    container = Remains("container", "abc", "run-9", "x:1:2", running=True)
    engine.objects = [container, Remains("volume", "run-9", "run-8", "x:1:2", running=False)]
    assert reaper.remains("run-9") == [container]
    assert reaper.remains() == engine.objects


def test_services_go_first_because_they_would_replace_their_containers(engine: FakeEngine) -> None:
    """A stack of a killed lab has services, containers, a network and volumes."""
    engine.objects = [
        Remains(kind, f"{kind}-dead", "run-1", DEAD, running=False)
        for kind in ("volume", "network", "container", "service")
    ]
    assert reaper.reap_dead() == 4
    assert engine.removed == ["service-dead", "container-dead", "network-dead", "volume-dead"]


def test_an_engine_that_manages_no_swarm_has_no_services(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses the list of services, and everything else is removed."""
    answer = engine.answer

    def refusing(method: str, path: str, query: dict[str, list[str]]) -> tuple[int, object]:
        if path.endswith("/services"):
            return 503, {"message": "This node is not a swarm manager."}
        return answer(method, path, query)

    monkeypatch.setattr(engine, "answer", refusing)
    engine.objects = [Remains("volume", "v-dead", "run-1", DEAD, running=False)]
    assert reaper.reap_dead() == 1
    assert engine.removed == ["v-dead"]


def test_the_engines_of_other_hosts_lose_their_volumes(
    engine: FakeEngine, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host of the swarm that does not answer keeps its volumes, and the others lose theirs."""
    folder = tmp_path / "far"
    folder.mkdir()
    far = FakeEngine(folder)
    with listening(far, temporary / "far") as address:
        monkeypatch.setenv("LAB_ENGINES", f"unix://{temporary}/gone {address}")
        engine.objects = [Remains("volume", "records", "run-1", DEAD, running=False)]
        far.objects = [
            Remains("volume", "records", "run-1", DEAD, running=False),
            Remains("volume", "of-mine", "run-2", MINE, running=False),
            Remains("network", "overlay", "run-1", DEAD, running=False),
        ]
        assert reaper.reap_dead() == 2
    assert engine.removed == far.removed == ["records"]
