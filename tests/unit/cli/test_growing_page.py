"""Tests that the page of a run is there after the first block, and costs little of a large run."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from lab.cli.growing_page import MOST_SHARE, GrowingPage
from lab.report.page import LATER, PAGE
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


def test_pages_take_a_small_share_of_the_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is always written, another when its time is small against that of the trials."""
    store = Store(folder)
    clock, written = Clock(), list[float]()
    monkeypatch.setattr(time, "monotonic", clock)
    page = GrowingPage(store)

    def write(_: int) -> None:
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
