"""Tests that the page of a run is there after the first block, and costs little of a large run."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pandas as pd
import pytest

from lab.cli.growing_page import MOST_SHARE, GrowingPage
from lab.cli.report import show
from lab.report import page as report_page
from lab.report.page import LATER, PAGE
from lab.report.run_tables import RunTables
from lab.results.store import Store
from tests.conftest import once
from tests.factories import finished_run


class Clock:
    """A clock that only moves when a test moves it."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time, s."""
        return self.now


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """Return a copy of a finished run, without its page."""
    finished = once(tmp_path_factory, "finished", finished_run.write)
    return shutil.copytree(finished, tmp_path / "run", ignore=shutil.ignore_patterns(PAGE))


def test_the_page_says_that_the_run_continues(folder: Path) -> None:
    """It has the tables of all trials so far, and no figures, which take longer."""
    GrowingPage(Store(folder)).update()
    page = (folder / PAGE).read_text(encoding="utf-8")
    n = finished_run.BLOCKS * len(finished_run.LABELS)
    assert f"{n} of {n} trials had ended when this page was written." in page
    assert LATER in page
    assert "thread-pool" in page
    assert "data:image/svg+xml;base64," not in page


def test_a_new_page_of_a_stopped_run_still_says_how_to_continue_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`lab report` replaced the page by one that looked complete."""
    monkeypatch.setattr(report_page, "draw_figures", lambda *_: {})
    store = Store(folder)
    trials = store.read("trial")
    show(RunTables(folder), len(trials))
    assert "had ended when" not in (folder / PAGE).read_text(encoding="utf-8")
    # The last trial was interrupted; the first was tried twice, and is one trial.
    status = trials["status"].mask(trials.index == len(trials) - 1, "interrupted")
    again = trials.head(1).assign(attempt=2)
    store.replace("trial", pd.concat([trials.assign(status=status), again]))
    show(RunTables(folder), len(trials))
    text = (folder / PAGE).read_text(encoding="utf-8")
    assert f"{len(trials) - 1} of {len(trials)} trials had ended when the run was stopped." in text
    assert f"To continue it: lab bench --resume {folder.name}" in text
    assert LATER not in text


def test_a_page_that_is_drawn_during_a_run_says_that_it_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It said that the run was stopped, or nothing if more trials follow from its results."""
    monkeypatch.setattr(report_page, "draw_figures", lambda *_: {})
    store = Store(folder)
    trials = store.read("trial")
    for n_trials in (len(trials), len(trials) - 1):
        store.replace("trial", trials.head(n_trials))
        with store.writing():
            show(RunTables(folder), n_trials)
        text = (folder / PAGE).read_text(encoding="utf-8")
        progress = f"{n_trials} of {len(trials)} trials had ended when this page was written."
        assert f"{progress} Reload it while the run goes on" in text
        assert "when the run was stopped" not in text


def test_the_page_of_a_run_with_a_damaged_plan_has_no_next_step(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run cannot be continued; its numbers are shown."""
    monkeypatch.setattr(report_page, "draw_figures", lambda *_: {})
    store = Store(folder)
    store.replace("trial", store.read("trial").head(1))
    (folder / "plan.json").write_text("{", encoding="utf-8")
    show(RunTables(folder), 1)
    assert "had ended when" not in (folder / PAGE).read_text(encoding="utf-8")


def test_pages_take_a_small_share_of_the_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is always written, another when its time is small against that of the trials."""
    store = Store(folder)
    clock, written = Clock(), list[float]()
    monkeypatch.setattr(time, "monotonic", clock)
    page = GrowingPage(store)

    def write() -> None:
        written.append(clock.now)
        clock.now += 2.0

    monkeypatch.setattr(page, "_write", write)
    for _ in range(8):
        clock.now += 10.0
        page.update()
    # After the first, which takes 2 s, the next is due when 2 s are the share of the time.
    assert written == [10.0, 12.0 + 2.0 / MOST_SHARE]


@pytest.mark.usefixtures("short_page")
def test_a_page_that_fails_does_not_end_the_campaign(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason is a message."""
    (folder / PAGE).mkdir()
    GrowingPage(Store(folder)).update()
    assert "No page after this block: " in capsys.readouterr().err
