"""Tests `lab bench`: its last lines after a resumed and an interrupted run, and its first lines."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from lab.campaign import runner
from lab.cli import bench, busy, report
from lab.cli.main import main
from lab.results.store import Store
from tests.factories import finished_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a complete run; commands draw no page of it."""
    monkeypatch.setattr(bench, "warn_if_busy", lambda: None)
    monkeypatch.setattr(report, "show", lambda tables, _: tables.folder / "report.html")
    return finished_run.write(tmp_path)


def disturb(run: Path) -> None:
    """Mark all trials of a run as disturbed."""
    store = Store(run)
    store.replace("trial", store.read("trial").assign(flag="disturbed"))


def resume(run: Path, *options: str) -> int:
    """Continue a run."""
    return main(["bench", "--resume", str(run), "--allow-dirty", *options])


def interrupt(*_: object) -> NoReturn:
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


def test_a_complete_run_that_is_resumed_ends_as_it_ended_before(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The counts and the exit code are those of the whole run, and not of no new trial."""
    store = Store(run)
    store.replace("trial", store.read("trial").assign(flag="ok"))
    assert resume(run) == 0
    shown = capsys.readouterr().err
    assert "This run is complete" in shown
    assert "4 trials: 4 ok." in shown
    disturb(run)
    assert resume(run, "--tables-only") == 0
    assert resume(run, "--allow-disturbed") == 0
    capsys.readouterr()
    assert resume(run) == 5
    shown = capsys.readouterr().err
    assert "None of 4 trials counts: 4 were disturbed" in shown
    assert "--allow-disturbed" in shown
    store.replace("trial", store.read("trial").assign(status="failed"))
    assert resume(run) == 1


def test_an_interrupt_while_the_page_is_written_names_the_run_and_the_next_step(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All trials have ended, so the next step is to draw and not to continue."""
    monkeypatch.setattr(report, "show", interrupt)
    assert resume(run) == 130
    shown = " ".join(capsys.readouterr().err.split())
    assert f"All trials have ended and are saved: {run}" in shown
    assert f"lab report {run}" in shown


def test_an_interrupt_names_the_command_that_writes_the_page(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is that of an earlier block, or does not exist yet."""
    monkeypatch.setattr(runner, "execute", interrupt)
    assert resume(run) == 130
    shown = " ".join(capsys.readouterr().err.split())
    assert f"To write the page of the finished trials: lab report {run} Stopped." in shown
    assert resume(run, "--tables-only") == 130
    assert "lab report" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-b celry", "Unknown backend 'celry'. Did you mean 'celery' or"),
        ("-w nop", "Unknown workload 'nop'. Did you mean 'noop'"),
        ("--fault worker-kil", "Unknown fault 'worker-kil'. Did you mean 'worker-kill'"),
        ("--preset quik", "Unknown preset 'quik'. Did you mean 'quick'?"),
        ("--provider loacl", "Unknown provider 'loacl'. Did you mean 'local'?"),
        ("--precision 5% -b inline", "--precision stops after"),
        ("--resume latst", "latst is not a run folder."),
        ("--resume latest -b rq", "--resume repeats a plan as it is"),
    ],
)
def test_an_error_in_the_command_line_is_the_only_message(
    words: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A warning before it would hide it, and the check for it takes a second."""
    monkeypatch.setattr(busy, "finding", lambda _: "This machine is busy.")
    provider = () if "--provider" in words or "--resume" in words else ("--provider", "local")
    assert main(["bench", *words.split(), *provider, "--results", str(tmp_path)]) == 2
    assert " ".join(capsys.readouterr().err.split()).startswith(f"lab: {message}")
