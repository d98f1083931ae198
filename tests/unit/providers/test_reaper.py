"""Tests that only engine objects of dead labs are removed, recognized by their labels alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.host import processes
from lab.providers import reaper
from lab.providers.reaper import Remains

HERE = processes.realm()
MINE = processes.owner()
DEAD = f"{HERE}:999999999:1.00"
ELSEWHERE = "another-boot/1:12:3.00"


class MadeUpEngine:
    """A container engine with given objects; removed objects are recorded."""

    def __init__(self, *objects: tuple[str, str, str, str, str]) -> None:
        self.objects = list(objects)
        self.removed: list[str] = []

    def __call__(self, *words: str, **_: object) -> bytes:
        """Answer one docker command."""
        if "ls" in words:
            kind = words[0]
            rows = ["\t".join(row[1:]) for row in self.objects if row[0] == kind]
            return "\n".join(rows).encode()
        self.removed += [word for word in words if word in {row[1] for row in self.objects}]
        self.objects = [row for row in self.objects if row[1] not in self.removed]
        return b""


@pytest.fixture
def engine_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., MadeUpEngine]:
    """Replace the real engine by one with given objects."""

    def make(*objects: tuple[str, str, str, str, str]) -> MadeUpEngine:
        engine = MadeUpEngine(*objects)
        monkeypatch.setattr(reaper, "docker", engine)
        return engine

    return make


def test_reap_dead_removes_only_objects_of_dead_labs_and_containers_first(
    engine_of: Callable[..., MadeUpEngine],
) -> None:
    """Containers are removed before the networks and volumes that they use."""
    engine = engine_of(
        ("volume", "v-dead", "run-1", DEAD, "-"),
        ("network", "n-dead", "run-1", DEAD, "-"),
        ("container", "c-dead", "run-1", DEAD, "running"),
        ("container", "c-mine", "run-2", MINE, "exited"),
        ("network", "n-mine", "run-2", MINE, "-"),
    )
    assert reaper.reap_dead() == 3
    assert engine.removed == ["c-dead", "n-dead", "v-dead"]
    assert reaper.reap_dead() == 0


@pytest.mark.parametrize(("state", "removed"), [("running", 0), ("exited", 2)])
def test_a_lab_of_another_machine_is_dead_if_none_of_its_containers_runs(
    state: str, removed: int, engine_of: Callable[..., MadeUpEngine]
) -> None:
    """An engine may serve several machines, whose processes are not visible here."""
    engine_of(
        ("container", "c", "run-1", ELSEWHERE, state),
        ("network", "n", "run-1", ELSEWHERE, "-"),
    )
    assert reaper.reap_dead() == removed


def test_remains_filters_by_the_label_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine filters by label; names of objects do not matter."""
    commands = []

    def docker(*words: str, **_: object) -> bytes:
        commands.append(words)
        return b"abc\trun-9\tx:1:2\trunning\n" if words[0] == "container" else b""

    monkeypatch.setattr(reaper, "docker", docker)
    assert reaper.remains("run-9") == [Remains("container", "abc", "run-9", "x:1:2", running=True)]
    assert all("label=lab.run=run-9" in words for words in commands)
    assert [words[0] for words in commands] == ["container", "network", "volume"]
