"""Tests what the lab says of a busy machine: in `lab doctor`, and before a campaign."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab import console
from lab.cli import bench, busy, check_machine, doctor
from lab.cli.check import Check, Health
from lab.cli.main import main
from lab.recording import cpu_users
from lab.recording.cpu_users import CpuUsers

IDLE = CpuUsers(0.01, 0.004, 4, ())
LOADED = CpuUsers(0.25, 0.0, 4, ("ruff (pid 7) 93 %",))


@pytest.mark.parametrize(
    ("users", "words"),
    [
        (
            LOADED,
            "use 25 % of the 4 CPUs now (ruff (pid 7) 93 %). A trial that they disturb keeps its",
        ),
        (CpuUsers(0.06, 0.0, 4, ()), "use 6 % of the 4 CPUs now. Trials that they slow down"),
        (CpuUsers(0.0, 0.2, 4, ()), "the hypervisor takes 20 % of the 4 CPUs now. A trial that"),
    ],
)
def test_a_finding_has_the_share_the_processes_and_the_effect(users: CpuUsers, words: str) -> None:
    """A share that no trial would notice is no finding."""
    assert words in busy.finding(users)
    assert busy.finding(IDLE) == busy.finding(CpuUsers(None, None, 4, ())) == ""


def test_doctor_and_campaign_say_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One check, worded once."""
    monkeypatch.setattr(cpu_users, "watch", lambda _: LOADED)
    assert check_machine.noise().finding == busy.finding(LOADED)
    assert bench.warn_if_busy() == pytest.approx(1 / 0.75)
    said = " ".join(capsys.readouterr().err.split())
    assert f"{busy.finding(LOADED)} The time left is estimated for this load." in said
    monkeypatch.setattr(cpu_users, "watch", lambda _: IDLE)
    finding = "CPU time in one second: 0.4% stolen, 1.0% used by others."
    assert check_machine.noise() == Check("noise", Health.OK, finding)
    assert 1.0 < bench.warn_if_busy() < 1.02
    assert capsys.readouterr().err == ""


def test_a_nearly_full_disk_is_said_before_the_campaign(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It would otherwise be noticed at the end of a trial."""
    bench.warn_if_full(tmp_path)
    assert capsys.readouterr().err == ""
    space = SimpleNamespace(free=2**28)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: space)
    bench.warn_if_full(tmp_path)
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith("0.2 GiB are free for results. A campaign needs 1.")


@pytest.fixture
def three_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the checks of this machine."""
    checks = [
        Check("python", Health.OK, "CPython."),
        Check("redis", Health.WARN, "Old.", "sudo apt install redis-server"),
        Check("backend dask", Health.MISSING, "Not installed.", "python -m pip install dask"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda _: checks)


@pytest.mark.usefixtures("three_checks")
def test_doctor_shows_what_is_missing_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Checks that are fine are one line, and the exit code says that something is missing."""
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "MISSING  backend dask: Not installed."
    assert lines[1].strip() == "python -m pip install dask"
    assert lines[2].startswith("WARN     redis")
    assert lines[-1] == "OK       1 checks: python. (lab doctor --all)"


@pytest.mark.usefixtures("three_checks")
@pytest.mark.parametrize(
    ("words", "code"), [("redis", 0), ("dask", 1), ("python redis", 0), ("backend", 2)]
)
def test_doctor_checks_only_the_named_ones(
    words: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backend needs no prefix, and an unknown check is a usage error."""
    assert main(["doctor", *words.split()]) == code
    assert ("OK       python" in capsys.readouterr().out) == ("python" in words)


@pytest.mark.usefixtures("three_checks")
@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_the_lines_of_doctor_begin_below_the_name_of_a_check(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The column of the states contains nothing else, at any width."""
    terminal = console.Terminal(width=width, force_terminal=True)
    monkeypatch.setattr(console, "data_console", terminal)
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert {line[:9].strip() for line in lines} == {"MISSING", "WARN", "OK", ""}
    assert max(map(len, lines)) <= width
