"""Prints the matrix of faults in README.md, from the package of the reference campaign.

    python .ci/fault_matrix.py     # writes it into the page, between its two markers

A cell has the worst outcome of the tasks of a system after a fault, as a sign; with two, the first
is in processes and the second in containers. The page of the package has counts and hits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from lab.analysis.attempts import decisive_attempts
from lab.analysis.queries import of_faults
from lab.analysis.statistics import proportion
from lab.core.faults import FaultKind
from lab.core.model import Periodic
from lab.figures import Tables
from lab.providers import PROVIDERS
from lab.report import fault_results
from lab.report.fault_squares import Square
from lab.report.fault_systems import FaultedSystem, by_system
from lab.report.faults import Matrix, matrix
from lab.report.number_format import enumeration, percent, plural
from lab.report.run_tables import RunTables

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "README.md"
PACKAGE = "results/reference/faults"
WORDS = "docs/read-the-results.md#what-becomes-of-tasks-when-something-fails"
BEGIN, END = "<!-- start of the generated matrix -->", "<!-- end of the generated matrix -->"
# Results without a trial, and those of a trial that failed before a fault.
EMPTY = (fault_results.SKIPPED, fault_results.UNMEASURED)
# Column of `trial` -> the words of the sentence about it, the worst first.
HARMS: Mapping[str, str] = {
    "n_lost": "lost tasks silently",
    "n_stuck": "left tasks stuck",
    "n_lost_reported": "lost tasks and reported it",
    "n_duplicated": "ran tasks twice",
}


def block(tables: Tables, squares: Matrix | None) -> str:
    """Return the generated part of the page in Markdown, with its markers.

    `squares` are those of the tables; to make them takes most of the time.
    """
    lines = []
    if squares is not None:
        systems = by_system(squares)
        summary = " ".join(filter(None, [_sentence(tables, systems), _runs(systems)]))
        sample = " ".join(filter(None, [_sample(tables), squares.replaced]))
        table = _table(squares.faults, systems)
        lines = [summary, "", _legend(systems), "", *table, "", sample, "", _notes()]
    return "\n".join([BEGIN, "", *lines, *([""] if lines else []), END])


def _offered(tables: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the attempts that sent tasks: without a fault, and with one."""
    ran = decisive_attempts(of_faults(tables["trial"]))
    # A scheduled job has runs in place of tasks.
    ran = ran[ran["arrival"] != Periodic.kind]
    is_control = ran["fault"] == FaultKind.NONE
    return ran[is_control], ran[~is_control]


def _sentence(tables: Tables, systems: Sequence[FaultedSystem]) -> str:
    """Return how many systems harmed tasks, without a fault and with one."""
    control, hit = _offered(tables)
    n, harmed = int(control["n_sent"].sum()), int(control[list(HARMS)].fillna(0).sum().sum())
    unknown = int(control["n_unknown"].fillna(0).sum())
    counts = {
        words: hit.loc[hit[column].fillna(0) > 0, "label"].nunique()
        for column, words in HARMS.items()
    }
    parts = [f"{count} {words}" for words, count in counts.items() if count]
    dates = sorted({str(date)[:10] for date in tables["campaign"]["started_utc"]})
    tried = [system for system in systems if system.has_tasks]
    k = sum(system.is_harmed for system in tried)
    return (
        f"In the [reference campaign]({PACKAGE}/README.md) ({enumeration(dates)}), {harmed:,} of "
        f"{n:,} tasks were lost, stuck or run twice while nothing failed (`none`)"
        f"{f', and {unknown:,} are unknown' if unknown else ''}. Under faults, "
        f"{k} of {plural(len(tried), 'system')} lost tasks or ran them twice"
        f"{': ' if parts else ''}{', '.join(parts)}"
        f"{' (some in several ways)' if sum(counts.values()) > k else ''}."
    )


def _sample(tables: Tables) -> str:
    """Return how many tasks a sign is of, and the bound of none in as many."""
    _, hit = _offered(tables)
    size = int(hit.groupby(["label", "provider", "fault"])["n_sent"].sum().median())
    bound = percent(proportion(0, size).high or 0.0)
    return (
        f"Half of the signs stand for {size:,} tasks or more. If none of {size:,} is lost, the "
        f"true share is at most {bound}."
    )


def _runs(systems: Sequence[FaultedSystem]) -> str:
    """Return how many schedulers missed or doubled runs; empty without a scheduler."""
    runs = [system.runs for system in systems if system.runs[0]]
    if not runs:
        return ""
    of_control = [
        square.runs
        for system in systems
        for row in system.rows
        for square in row.squares
        if square.fault == FaultKind.NONE
    ]
    due, *harmed = (sum(counts) for counts in zip(*of_control, strict=True))
    k = sum(bool(missed or doubled) for _, missed, doubled in runs)
    return (
        f"Of {plural(len(runs), 'scheduler')}, {k} missed or doubled runs of a job under a "
        f"fault; {sum(harmed):,} of {plural(due, 'run')} in the control."
    )


def _table(faults: Sequence[str], systems: Sequence[FaultedSystem]) -> list[str]:
    header = ["system", "server", "survived", *(f"`{fault}`" for fault in faults)]
    rows = [
        [
            f"`{system.rows[0].label}`",
            system.rows[0].server.name,
            _survived(system),
            *map(_cell, _columns(system)),
        ]
        for system in systems
    ]
    return [
        f"| {' | '.join(header)} |",
        "|---|" + "---|" * (len(header) - 1),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _columns(system: FaultedSystem) -> Iterable[Sequence[Square]]:
    """Yield the squares of each fault, in processes before those in containers."""
    ordered = sorted(system.rows, key=lambda row: list(PROVIDERS).index(row.provider))
    return zip(*(row.squares for row in ordered), strict=True)


def _survived(system: FaultedSystem) -> str:
    k, n = system.survived
    return f"{k} of {n}" if n else ""


def _cell(squares: Sequence[Square]) -> str:
    return " / ".join(_signs(squares))


def _signs(squares: Sequence[Square]) -> list[str]:
    signs = (square.result.symbol for square in squares if square.result not in EMPTY)
    return list(dict.fromkeys(signs))


def _legend(systems: Sequence[FaultedSystem]) -> str:
    """Return what the signs of the table mean, with one of its squares as an example."""
    squares = [square for system in systems for row in system.rows for square in row.squares]
    seen = {square.result for square in squares}
    words: dict[str, list[str]] = {}
    for result in fault_results.ORDERED:
        if result in seen:
            words.setdefault(result.symbol, []).append(result.word)
    parts = [f"{symbol} {' or '.join(of_symbol)}" for symbol, of_symbol in words.items()]
    return (
        f"A square is the worst outcome of a system's tasks under a fault: {'; '.join(parts)}; "
        f"empty: skipped. [Each word]({WORDS}). Two signs: in processes / in containers; one sign: "
        f"both agree, or one was measured.{_example(systems)}"
    )


def _example(systems: Sequence[FaultedSystem]) -> str:
    """Return a square with two signs in words, the worst beside an ok; empty without one."""
    pairs = [
        (system.rows[0].label, pair)
        for system in systems
        for pair in _columns(system)
        if len(_signs(pair)) > 1 and any(square.result is fault_results.OK for square in pair)
    ]
    if not pairs:
        return ""
    label, pair = min(pairs, key=lambda item: min(map(_severity, item[1])))
    first, second = (square.result.word for square in pair)
    return (
        f" So {_cell(pair)} of `{label}` under `{pair[0].fault}` is: {first} in processes, "
        f"{second} in containers."
    )


def _severity(square: Square) -> int:
    return fault_results.ORDERED.index(square.result)


def _notes() -> str:
    """Return what the other columns mean, and where more is."""
    return (
        "*Survived*: hits that harmed no task and no run of a job. *Server*: where tasks wait; "
        "Redis keeps them in memory only, unless the fault names a persistence. `report.html` of "
        "the campaign has the number of tasks and hits of each square with its bounds, and the "
        "reason of each skip. [What each fault does](docs/faults.md#what-each-fault-does)."
    )


def write(tables: Tables) -> None:
    """Replace the part between the markers of the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    text = f"{before}{block(tables, matrix(tables))}{rest.partition(END)[2]}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(RunTables(ROOT / PACKAGE))
