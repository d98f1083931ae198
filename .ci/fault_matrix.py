"""Prints the matrix of faults in README.md, from the package of the reference campaign.

    python .ci/fault_matrix.py     # writes it into the page, between its two markers

A cell has the worst outcome of the tasks of a system after a fault, as a sign; with two, the first
is in processes and the second in containers. The page of the package has counts and hits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from lab.analysis.attempts import decisive_attempts
from lab.analysis.queries import of_faults
from lab.analysis.statistics import proportion
from lab.core.faults import FaultKind
from lab.core.model import Periodic
from lab.figures import Tables
from lab.providers import PROVIDERS
from lab.report import fault_results
from lab.report.fault_hits import survival
from lab.report.fault_squares import Square
from lab.report.faults import Matrix, MatrixRow, matrix
from lab.report.number_format import enumeration, percent, plural
from lab.report.run_tables import RunTables

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "README.md"
PACKAGE = "results/reference/faults"
BEGIN, END = "<!-- start of the generated matrix -->", "<!-- end of the generated matrix -->"
# Results without a trial, and those of a trial that failed before a fault.
EMPTY = (fault_results.SKIPPED, fault_results.UNMEASURED)
# Column of `trial` -> the words of the sentence about it, the worst first.
HARMS: Mapping[str, str] = {
    "n_lost": "lost tasks silently",
    "n_stuck": "left tasks stuck",
    "n_duplicated": "ran tasks twice",
}


def block(tables: Tables) -> str:
    """Return the generated part of the page in Markdown, with its markers."""
    squares = matrix(tables)
    lines = []
    if squares is not None:
        # Rows of one label are neighbours, one for each provider.
        systems = [list(rows) for _, rows in groupby(squares.systems, key=lambda row: row.label)]
        sentences = filter(None, [_sentence(tables), _runs(squares), squares.replaced])
        lines = [" ".join(sentences), "", *_table(squares.faults, systems), "", *_legend(systems)]
    return "\n".join([BEGIN, "", *lines, *([""] if lines else []), END])


def _sentence(tables: Tables) -> str:
    """Return how many systems harmed tasks, without a fault and with one."""
    ran = decisive_attempts(of_faults(tables["trial"]))
    # A scheduled job has runs in place of tasks.
    ran = ran[ran["arrival"] != Periodic.kind]
    is_control = ran["fault"] == FaultKind.NONE
    control, hit = ran[is_control], ran[~is_control]
    n, harmed = int(control["n_sent"].sum()), int(control[list(HARMS)].fillna(0).sum().sum())
    counts = {
        words: hit.loc[hit[column].fillna(0) > 0, "label"].nunique()
        for column, words in HARMS.items()
    }
    parts = [f"{count} {words}" for words, count in counts.items() if count]
    results = ", ".join(parts) or "none lost a task or ran one twice"
    dates = sorted({str(date)[:10] for date in tables["campaign"]["started_utc"]})
    sizes = hit.groupby(["label", "provider", "fault"])["n_sent"].sum()
    size = int(sizes.median())
    bound = percent(proportion(0, size).high or 0.0)
    return (
        f"In the [reference campaign]({PACKAGE}/README.md) ({enumeration(dates)}), {harmed:,} of "
        f"{n:,} tasks were lost, stuck or run twice while nothing failed (`none`). Of "
        f"{plural(hit['label'].nunique(), 'system')} under faults, {results}. "
        f"Half of the signs are of {plural(size, 'task')} or more: 0 of {size:,} is at most "
        f"{bound}."
    )


def _runs(squares: Matrix) -> str:
    """Return how many schedulers missed or doubled runs; empty without a scheduler."""
    runs: dict[str, list[tuple[int, int, int]]] = {}
    control = [0, 0]
    for row in squares.systems:
        if row.runs[0]:
            runs.setdefault(row.label, []).append(row.runs)
        for square in row.squares:
            if square.fault == FaultKind.NONE:
                control = [control[0] + sum(square.runs[1:]), control[1] + square.runs[0]]
    if not runs:
        return ""
    harmed = sum(any(missed or doubled for _, missed, doubled in rows) for rows in runs.values())
    return (
        f"Of {plural(len(runs), 'scheduler')}, {harmed} missed or doubled runs of a job under a "
        f"fault; {control[0]:,} of {plural(control[1], 'run')} in the control."
    )


def _table(faults: Sequence[str], systems: Sequence[Sequence[MatrixRow]]) -> list[str]:
    header = ["system", "server", "survived", *(f"`{fault}`" for fault in faults)]
    rows = [
        [f"`{_name(rows)}`", rows[0].server.name, _survived(rows), *map(_cell, _columns(rows))]
        for rows in systems
    ]
    return [
        f"| {' | '.join(header)} |",
        "|---|" + "---|" * (len(header) - 1),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _columns(rows: Sequence[MatrixRow]) -> Iterable[Sequence[Square]]:
    """Yield the squares of each fault, in processes before those in containers."""
    ordered = sorted(rows, key=lambda row: list(PROVIDERS).index(row.provider))
    return zip(*(row.squares for row in ordered), strict=True)


def _name(rows: Sequence[MatrixRow]) -> str:
    return rows[0].name.removesuffix(f" on {rows[0].provider}")


def _survived(rows: Sequence[MatrixRow]) -> str:
    hits = [hit for row in rows for square in row.faulty for hit in square.hits]
    k, n = survival(hits)
    return f"{k} of {n}" if n else ""


def _cell(squares: Sequence[Square]) -> str:
    signs = [square.result.symbol for square in squares if square.result not in EMPTY]
    return " / ".join(dict.fromkeys(signs))


def _legend(systems: Sequence[Sequence[MatrixRow]]) -> Iterator[str]:
    """Yield the lines that explain the signs of the table."""
    seen = {square.result for rows in systems for row in rows for square in row.squares}
    words: dict[str, list[str]] = {}
    for result in fault_results.ORDERED:
        if result in seen:
            words.setdefault(result.symbol, []).append(result.word)
    parts = [f"{symbol} {' or '.join(of_symbol)}" for symbol, of_symbol in words.items()]
    yield f"{'; '.join(parts)}; empty: skipped, and `report.html` of the campaign has the reason."
    yield (
        "Two signs: in processes / in containers; one sign: both agree, or one was measured. "
        "*Survived*: hits that harmed no task and no run of a job. *Server*: where tasks wait; "
        "Redis keeps them in memory only, unless the fault names a persistence. `report.html` has "
        "the number of tasks and hits of each sign, with its bounds. "
        "[What each fault does](docs/faults.md#what-each-fault-does)."
    )


def write(tables: Tables) -> None:
    """Replace the part between the markers of the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{block(tables)}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    write(RunTables(ROOT / PACKAGE))
