"""Tests that no problem of the machine shows the user a traceback or stops other measurements."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from lab import figures
from lab.cli import history, report
from lab.cli import list as list_command
from lab.core import defects
from lab.core.errors import LabError
from lab.host import child_environment, repository
from lab.host.environment import fingerprint, git_state
from lab.report import page
from lab.report.run_tables import RunTables
from lab.results.store import Store
from tests.conftest import RunCli
from tests.factories import campaigns

SMALL = ("-b", "inline", "-w", "noop", "--arrival", "burst", "--tasks", "20", "--blocks", "1")
ONE = (*SMALL, "--cores", "1", "--provider", "local", "--seed", "1", "--allow-disturbed")


def lab(*arguments: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """Run the command with some environment variables changed, or removed (None)."""
    environment = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, "-m", "lab.cli", *arguments],
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


@pytest.fixture
def few_programs(tmp_path: Path) -> Path:
    """Return a folder for PATH without git, ps, docker and Redis."""
    folder = tmp_path / "programs"
    folder.mkdir()
    return folder


def test_without_git_a_campaign_is_measured_without_a_commit(
    few_programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    """The run is left out of the history, and the command ends with code 0."""
    results = tmp_path / "results"
    monkeypatch.setenv("PATH", str(few_programs))
    monkeypatch.setattr(page, "FIGURES", {"overhead": figures.FIGURES["overhead"]})
    shown = run_cli("bench", *ONE, "--results", str(results))
    assert shown.returncode == 0, shown.stderr
    assert "Traceback" not in shown.stderr
    assert "it was not measured in a Git checkout" in " ".join(shown.stderr.split())
    (run,) = (results / "runs").iterdir()
    assert list(Store(run).read("campaign").git_commit.fillna("")) == [""]
    assert set(Store(run).read("trial").status) == {"ok"}
    assert (run / "report.html").exists()


def script(folder: Path, name: str, text: str) -> None:
    """Write a program into a folder of PATH."""
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("exit 128", "git status: code 128"),
        (
            "echo \"fatal: detected dubious ownership in repository at '/x'\" >&2; exit 128",
            "git status: fatal: detected dubious ownership in repository at '/x'",
        ),
        ("kill -9 $$", "git status: code -9"),
        ("exec sleep 60", "git status did not end in 1 s."),
    ],
)
def test_the_failure_of_git_has_a_reason(
    text: str, reason: str, few_programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lab continues without a commit."""
    script(few_programs, "git", text)
    monkeypatch.setenv("PATH", str(few_programs), prepend=os.pathsep)
    monkeypatch.setattr(repository, "PATIENCE_S", 1.0)
    with pytest.raises(LabError) as refused:
        repository.git(tmp_path, "status")
    assert str(refused.value) == reason
    assert git_state() == ("", "")


def test_without_git_commands_report_that_it_is_missing(
    few_programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    """A comparison of commits reports it; history has no run; neither shows a traceback."""
    monkeypatch.setenv("PATH", str(few_programs))
    assert git_state() == ("", "")
    results = ("--results", str(tmp_path))
    shown = run_cli("compare", "main", "HEAD", "--pairs", "1", *results)
    assert "git is not installed. Run: sudo apt install git" in " ".join(shown.stderr.split())
    assert shown.returncode == 2
    assert run_cli("compare", "main", "HEAD", *results).returncode == 2
    assert run_cli("history", *results).returncode == 3


def test_a_checkout_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git refuses it ("dubious ownership"); GIT_TEST_... is a switch of Git for tests."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr(child_environment, "of_process", lambda: dict(os.environ))
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(LabError, match="dubious ownership"):
        repository.git(tmp_path, "status")


def test_an_odd_environment_changes_nothing(tmp_path: Path) -> None:
    """A campaign runs without a home, a terminal type and Unicode."""
    variables = {"HOME": None, "TERM": None, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    shown = lab("bench", *ONE, "--results", str(tmp_path), **variables)
    assert (shown.returncode, "Traceback" in shown.stderr) == (0, False), shown.stderr


def test_closed_or_full_output_shows_no_traceback() -> None:
    """The output is the shell's `>&-`, and a device without space."""
    listing = f"{sys.executable} -m lab.cli list"
    for redirection, codes in ((">&-", {0}), (">/dev/full", {5})):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{listing} {redirection}"],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert done.returncode in codes, (redirection, done.stderr)


def as_file(results: Path) -> None:
    """Replace the folder by a file."""
    results.write_text("not a folder")


def as_runs_file(results: Path) -> None:
    """Replace the folder of runs by a file."""
    results.mkdir()
    (results / "runs").write_text("not a folder")


@pytest.mark.parametrize("damage", [as_file, as_runs_file])
@pytest.mark.parametrize(
    "arguments",
    [("bench", *ONE), ("history",), ("compare", "a", "b"), ("publish",)],
    ids=lambda w: w[0],
)
def test_a_results_folder_that_is_a_file_is_a_sentence(
    arguments: tuple[str, ...], damage: Callable[[Path], None], tmp_path: Path, run_cli: RunCli
) -> None:
    """Every command that uses the folder reports it, before it measures anything."""
    damage(tmp_path / "results")
    shown = run_cli(*arguments, "--results", str(tmp_path / "results"))
    assert shown.returncode in {2, 3, 5}, shown.stderr
    assert "A defect of the lab" not in shown.stderr


def test_a_deleted_current_folder_is_a_sentence(tmp_path: Path) -> None:
    """The shell deletes its current folder."""
    gone = tmp_path / "gone"
    command = f"mkdir {gone} && cd {gone} && rmdir {gone} && {sys.executable} -m lab.cli bench"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} {' '.join(ONE)}"],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "The current folder does not exist" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.defect
def test_an_unexpected_exception_ends_with_one_sentence_and_code_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    """The sentence has the place, and the file with the traceback."""

    def fail(*_: object) -> NoReturn:
        raise RecursionError("too deep")

    monkeypatch.setattr(list_command, "run", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shown = run_cli("list")
    assert shown.returncode == 5
    message = " ".join(shown.stderr.split())
    assert message.startswith("lab: A defect of the lab: RecursionError")
    assert "report it as an issue. Its folder:" in message
    assert "Traceback" not in message
    (folder,) = tmp_path.glob("lab-defect-*")
    assert "too deep" in (folder / defects.FILE).read_text()


@pytest.mark.defect
def test_ctrl_c_ends_with_130_and_needs_no_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    """Without a temporary folder, the sentence is shown without the file."""

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(list_command, "run", stop)
    assert run_cli("list").returncode == 130

    def fail(*_: object) -> NoReturn:
        raise ValueError("x")

    monkeypatch.setattr(list_command, "run", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not" / "there"))
    shown = run_cli("list")
    assert shown.returncode == 5
    assert "A defect of the lab: ValueError" in shown.stderr


@pytest.mark.defect
def test_a_part_of_the_fingerprint_that_fails_is_a_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other parts are read, and the fact has the reason."""

    def fail() -> NoReturn:
        raise OSError("no /proc/vmstat")

    monkeypatch.setattr(psutil, "swap_memory", fail)
    facts = {row.key: row.value for row in fingerprint()[1]}
    assert facts["unread.memory"].startswith(
        "A defect of the lab: OSError at lab/host/environment.py"
    )
    assert facts["python.version"]


@pytest.mark.defect
def test_a_figure_that_fails_does_not_stop_the_page(
    synthetic: figures.Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page shows the reason in its place, and the next one is drawn."""
    run = campaigns.write(synthetic, tmp_path / "run")
    two = {name: figures.FIGURES[name] for name in ("latency", "scaling")}
    monkeypatch.setattr(page, "FIGURES", two)

    def save(chart: object, *arguments: object) -> object:
        if chart is figures.FIGURES["latency"]:
            raise ZeroDivisionError
        return figures.save(chart, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(page, "save", save)
    text = page.write(RunTables(run)).read_text()
    assert text.count("not drawn. A defect of the lab: ZeroDivisionError") == 1
    assert (run / "figures" / "scaling.svg").exists()
    assert not (run / "figures" / "latency.svg").exists()


@pytest.mark.defect
def test_a_failed_report_or_history_does_not_lose_the_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    """The messages contain the run, and the command that writes the page."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise TypeError

    monkeypatch.setattr(report, "show", fail)
    monkeypatch.setattr(history, "add", fail)
    shown = run_cli("bench", *ONE, "--results", str(tmp_path))
    assert shown.returncode == 0
    message = " ".join(shown.stderr.split())
    (run,) = (tmp_path / "runs").iterdir()
    assert "The report page was not written: A defect of the lab: TypeError" in message
    assert f"To try again: lab report {run}" in message.replace("- ", "-")
    assert "This run was not added to the history: A defect of the lab: TypeError" in message
