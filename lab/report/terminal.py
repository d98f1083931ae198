"""Words the tables and sentences of a run for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from lab.analysis.environments import LabelledByEnvironment
from lab.analysis.labels import REFERENCE, each, identify
from lab.analysis.queries import Tables, WithoutFaults, is_grid
from lab.report import costs, fault_texts, faults, resources, scaling, schedules
from lab.report.flag_reasons import why_not_counted
from lab.report.load import as_tables, grids
from lab.report.recommendation import HEADINGS, choices
from lab.report.run_tables import RunTables
from lab.report.summary import ABOVE, COLUMNS, SummaryRow, summary
from lab.report.verdict import verdict
from lab.report.versions import version_tables
from lab.report.workflows import workflow_tables

# A terminal is too narrow for all columns: p90 is on the page only.
IN_TERMINAL = (
    *("throughput", "of_reference", "instrumentation", "overhead"),
    *("p50", "p99", "round_trip"),
)
# The spread of the CPU's own speed between the trials of a row, which its intervals include.
MACHINE = "CPU speed"
TextTable = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""A title, headings, and rows of text."""


def terminal_tables(tables: RunTables) -> Iterator[TextTable]:
    """Yield the non-empty tables of a run, the summary first."""
    # A failure belongs to no headline number (METHOD M27): only the matrix reads trials of faults.
    labelled = LabelledByEnvironment(tables)
    plain = WithoutFaults(labelled)
    text_tables = (
        fault_texts.as_table(faults.matrix(labelled)),
        _summary_table(plain, tables.folder.name),
        scaling.as_table(scaling.scaling_lines(plain)),
        costs.as_table(costs.costs(plain)),
        resources.as_table(resources.resource_rows(plain)),
        schedules.as_table(schedules.schedules(plain)),
        *as_tables(grids(plain)),
    )
    # Most campaigns lack several of these: a table without rows would only be a heading.
    yield from (table for table in text_tables if table[2])
    for table in (*version_tables(WithoutFaults(tables)), *workflow_tables(plain)):
        yield table.title, table.headings, table.rows
    for choice in choices(plain):
        yield f"Which one for {choice.task}?", HEADINGS, choice.rows


def sentences(tables: RunTables) -> Iterator[str]:
    """Yield why trials do not count, and the ranking for each function."""
    yield from why_not_counted(tables["trial"])
    plain = WithoutFaults(LabelledByEnvironment(tables))
    yield from (f"{choice.task}: {choice.answer}" for choice in choices(plain))


def verdict_of(tables: RunTables) -> str:
    """Return the result of a run, and the outcome of its faults; empty if there is none."""
    labelled = LabelledByEnvironment(tables)
    squares = faults.matrix(labelled)
    of_faults = fault_texts.sentence(squares) if squares else ""
    return " ".join(filter(None, [verdict(WithoutFaults(labelled)), of_faults]))


def _summary_table(plain: Tables, run: str) -> TextTable:
    """Return the summary table.

    If all paced trials have the same rate, the title contains the rate, otherwise each row.
    """
    trials = plain["trial"]
    # Workloads with several task durations have one row in the table of costs.
    rows = _references_last(
        summary({"trial": trials[~is_grid(trials)], "estimate": plain["estimate"]}), trials
    )
    # A run without round trips, or with too few tasks for a p99, has nothing to show in a column.
    chosen = [
        column
        for column in COLUMNS
        if column.name in IN_TERMINAL
        and any(map(str.isdigit, "".join(row.numbers[column.name].text for row in rows)))
    ]
    headings = ["label", "workload", "cores x nodes", *(c.title for c in chosen)]
    headings += ["lost", "unfinished", MACHINE, "flags"]
    rates = {row.rate for row in rows} - {""}
    title = f"Summary of {run}"
    if len(rates) == 1:
        title += f", latencies at {rates.pop()} tasks/s"
    # The terminal has no note beside the number, so the title explains the mark.
    if any(ABOVE in row.numbers["throughput"].text for row in rows):
        title += f"; {ABOVE} lower bound, instrumentation slows it"
    cells = [
        [
            row.name,
            row.workload + (f" at {row.rate}/s" if row.rate in rates else ""),
            row.cores_x_nodes,
            *(row.numbers[column.name].text for column in chosen),
            row.lost.text,
            row.unfinished.text,
            row.speed_spread,
            row.flags,
        ]
        for row in rows
    ]
    return title, headings, cells


def _references_last(rows: Sequence[SummaryRow], trials: pd.DataFrame) -> list[SummaryRow]:
    """Return the rows with the references behind the systems of their place."""
    families = {row.label: row.family for row in each(identify(trials))}
    places = [*dict.fromkeys((row.workload, row.topology) for row in rows)]
    # A reference bounds the systems and is no alternative to them (METHOD M18).
    return sorted(
        rows,
        key=lambda row: (
            places.index((row.workload, row.topology)),
            families[row.label] == REFERENCE,
        ),
    )
