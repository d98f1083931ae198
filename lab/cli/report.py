"""Runs `lab report`: recomputes the tables of a run and draws its figures and page."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.analysis import compute
from lab.cli.growing_page import unfinished
from lab.console import duration, say, show_line, show_numbers
from lab.core.errors import ExitCode
from lab.publishing import package
from lab.report import page, terminal
from lab.report.number_format import REFUSED, plural
from lab.report.run_tables import RunTables
from lab.results import run_names
from lab.results.store import Store

# Seconds for the metrics of a trial, for its part of a page, and for all figures of a quick run;
# measured on two cores.
METRICS_S, PAGE_S, DRAWING_S = 0.03, 0.015, 10.0

# The columns of the summary that a narrow terminal leaves out first.
LEAST = (
    *("instrumentation %", "% of reference", "cores x nodes", "overhead us/task", "flags"),
    terminal.MACHINE,
)


def run(options: argparse.Namespace) -> int:
    """Recompute tables, figures and page of a run from its trials."""
    folder = run_names.find(options.run, Path("results"), say)
    store = Store(folder)
    store.check()
    n_trials = len(store.read("trial"))
    if (folder / "trials").is_dir():
        about = duration(n_trials * METRICS_S)
        say(f"Recomputing metrics of {plural(n_trials, 'trial')}: about {about}.")
        for sentence in compute.compute(store):
            say(sentence)
    else:
        say(f"{folder.name} has no records of single tasks; its metrics stay as published.")
    tables = RunTables(folder)
    path = show(tables, n_trials)
    if verdict := terminal.verdict_of(tables):
        show_line(verdict)
    say(f"Report page: {path}")
    if (folder / package.CHECKSUMS).is_file():  # a published package, whose page is new now
        package.write_checksums(folder)
    return ExitCode.FINE


def show(tables: RunTables, n_trials: int) -> Path:
    """Write figures and page, print the tables, and return the path of the page."""
    say(f"Writing figures and page: about {duration(DRAWING_S + n_trials * PAGE_S)}.")
    path = page.write(tables, unfinished(Store(tables.folder)))
    show_tables(tables)
    return path


def show_tables(tables: RunTables) -> None:
    """Print the tables of a run, and the sentences that answer questions."""
    shown = [*terminal.terminal_tables(tables)]
    for table in shown:
        show_numbers(*table, least=LEAST)
    if any(REFUSED in row for _, _, rows in shown for row in rows):
        show_line("refused: the trials cannot support the number; the page has the reasons.")
    for answer in terminal.sentences(tables):
        show_line(answer)
