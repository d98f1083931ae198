"""Tests the table of versions, and the sentence about the newest version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.comparison.versions import over_versions
from lab.report.page import render
from lab.report.run_tables import RunTables
from lab.report.terminal import terminal_tables
from lab.report.versions import newest_steps, version_tables
from tests.factories.campaigns import SMALL, campaign, write
from tests.factories.versions import in_versions

PLAN = replace(SMALL, blocks=10, cores=(1,), workloads=("noop",), rates_hz=())
RUN = in_versions(campaign(PLAN), "rq", {"rq==2.9.0": 1.0, "rq==2.10.0": 1.0, "rq==3.0.0": 1.3})
TITLE = "Versions of rq: rq \N{MIDDLE DOT} noop, 1 core, 1 worker"


def test_a_version_has_its_cost_and_the_ratio_to_the_one_before_it() -> None:
    """The newest is first; the oldest has no ratio."""
    (table,) = version_tables(RUN)
    assert table.title == TITLE
    assert [row[0] for row in table.rows] == ["rq 3.0.0", "rq 2.10.0", "rq 2.9.0"]
    newest, middle, oldest = table.rows
    assert newest[2].startswith("1.30 (1.29 to ")
    assert [row[4] for row in table.rows] == ["worse", "tie", ""]
    assert (oldest[2], oldest[5]) == ("", "10 trials")
    assert middle[1].count("to") == 1


def test_page_and_terminal_have_the_table(tmp_path: Path) -> None:
    """A run without versions has neither section nor table."""
    folder = write(RUN, tmp_path / "runs" / "r")
    assert TITLE in {title for title, *_ in terminal_tables(RunTables(folder))}
    page = render(RUN, {})
    assert '<a href="#steps">' in page
    assert f"<h3>{TITLE}</h3>" in page
    assert 'id="steps"' not in render(campaign(PLAN), {})


def test_a_sentence_judges_the_newest_version() -> None:
    """It names both versions, the ratio and the verdict."""
    (sentence,) = newest_steps(over_versions(RUN))
    assert sentence.startswith("rq, rq \N{MIDDLE DOT} noop, 1 core, 1 worker: rq 3.0.0 costs 2.")
    assert "times as much as rq 2.10.0: worse." in sentence
