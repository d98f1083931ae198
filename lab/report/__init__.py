"""The report of a run: a page that needs nothing but itself, and a summary for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lab.report.page import write
from lab.report.summary import COLUMNS, Row, summary
from lab.store import Store

__all__ = ["Row", "summary", "terminal_summary", "write"]

IN_TERMINAL = ("throughput", "overhead", "p50", "p99")


def terminal_summary(folder: Path) -> tuple[str, Sequence[str], Iterable[Sequence[str]]]:
    """Return the summary of a run folder as a title, headings, and rows of text.

    Where all paced trials were offered one rate, the title says it, else each row does.
    """
    store = Store(folder)
    rows = summary({name: store.read(name) for name in ("trial", "estimate")})
    chosen = [column for column in COLUMNS if column.name in IN_TERMINAL]
    headings = ["label", "workload", "cores x nodes", *(c.title for c in chosen), "lost", "flags"]
    rates = {row.rate for row in rows} - {""}
    title = f"Summary of {folder.name}"
    if len(rates) == 1:
        title += f", latencies at {rates.pop()} tasks/s"
    cells = [
        [
            row.name,
            row.workload + (f" at {row.rate}/s" if row.rate in rates else ""),
            row.cores_x_nodes,
            *(row.numbers[column.name].text for column in chosen),
            row.lost.text,
            row.flags,
        ]
        for row in rows
    ]
    return title, headings, cells
