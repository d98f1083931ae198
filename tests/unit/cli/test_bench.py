"""Tests `lab bench`: its last lines after a resumed and an interrupted run, and its first lines."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from lab.campaign import runner
from lab.cli import bench, busy, report
from lab.cli.main import main
from lab.report.page import PAGE
from lab.results.store import Store
from tests.factories import finished_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a complete run; commands draw no page of it."""
    monkeypatch.setattr(bench, "warn_if_busy", lambda: 1.0)
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


def test_an_interrupted_run_has_a_page_of_its_finished_trials(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also a run of one block, such as one of faults, which has no earlier page."""
    (run / PAGE).unlink()
    monkeypatch.setattr(runner, "execute", interrupt)
    assert resume(run, "--tables-only") == 130
    assert "report" not in capsys.readouterr().err
    assert not (run / PAGE).exists()
    assert resume(run) == 130
    *_, page, stopped = capsys.readouterr().err.splitlines()
    assert page == f"Report page, 4 of 4 trials: {run / PAGE}"
    assert stopped.endswith(f"To continue: lab bench --resume {run}")
    text = (run / PAGE).read_text(encoding="utf-8")
    assert "4 of 4 trials had ended when the run was stopped." in text
    assert f"lab bench --resume {run.name}" in text
    assert str(run) not in text


def test_a_second_interrupt_names_the_command_that_writes_the_page(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is that of an earlier block, or does not exist yet."""
    monkeypatch.setattr(runner, "execute", interrupt)
    monkeypatch.setattr(bench, "write_unfinished", interrupt)
    assert resume(run) == 130
    shown = " ".join(capsys.readouterr().err.split())
    assert f"To write the page of the finished trials: lab report {run} Stopped." in shown


def test_the_result_and_the_paths_are_the_last_lines(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only a line of nox follows them, so that they are found at once."""
    disturb(run)
    assert resume(run) == 5
    *_, result, folder, page = capsys.readouterr().err.splitlines()
    assert "None of 4 trials counts, so no system is ranked." in result
    assert (folder, page) == (f"Run folder: {run}", f"Report page: {run / 'report.html'}")


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
