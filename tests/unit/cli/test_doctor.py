"""Tests that the doctor makes all checks, and that each problem has the command that fixes it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lab.cli import check_engine, check_machine, check_software, doctor
from lab.cli.check import Check, Health
from lab.planning import registry

# The first word of each fix, which is a command that the user can copy.
PROGRAMS = {"docker", "du", "echo", "git", "lab", "nox", "nproc", "ps", "python", "sudo", "uvx"}


def test_this_machine_is_examined() -> None:
    """Every backend and every part is checked; a check that is not ok has a fix."""
    backends = registry.backends()
    checks = doctor.examine(backends)
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


@pytest.mark.defect
def test_a_check_that_fails_becomes_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken server program does not end `lab doctor`: the other checks are present."""

    def fail() -> Check:
        raise ValueError

    def none() -> Iterable[Check]:
        return ()

    monkeypatch.setattr(check_software, "redis", fail)
    monkeypatch.setattr(check_engine, "containers", none)
    idle = Check("noise", Health.OK, "Not measured.")
    monkeypatch.setattr(check_machine, "noise", lambda: idle)
    checks = {check.name: check for check in doctor.examine({})}
    assert checks["redis"].state == Health.WARN
    assert checks["redis"].finding.startswith("A defect of the lab: ValueError at")
    assert {"python", "git", "disk"} < set(checks)
