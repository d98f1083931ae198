"""Writes the matrix of systems and faults for the terminal: a table, and a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lab.core.faults import FaultKind
from lab.report.fault_results import MISSED, ORDERED
from lab.report.fault_squares import Square
from lab.report.fault_systems import FaultedSystem, by_system
from lab.report.faults import Matrix
from lab.report.number_format import listed, plural

TITLE = "What becomes of tasks when something fails"
# With more squares, the terminal has a row for each system, and the page has the squares.
MOST_SQUARES = 60


def sentence(squares: Matrix) -> str:
    """Return what became of tasks and of runs of jobs under faults, and in the control.

    A system counts once, however many providers it ran on.
    """
    systems = by_system(squares)
    return " ".join(filter(None, [_tasks(systems), _runs(systems), _control(squares)]))


def _tasks(systems: Sequence[FaultedSystem]) -> str:
    tried = [system for system in systems if system.has_tasks]
    if not tried:
        return ""
    harmed = [system for system in tried if system.is_harmed]
    n = plural(len(tried), "system")
    if not harmed:
        return f"Faults: none of {n} lost a task or ran one twice."
    start = f"Faults: {len(harmed)} of {n} lost tasks or ran them twice"
    # The shorter list; a square without a result says nothing against its system.
    rest = [s for s in systems if s.survived[1] and not any(map(_is_doubtful, s.faulty))]
    if 0 < len(rest) < len(harmed):
        return f"{start}. No hit harmed a task or a run of {listed([*map(_survivor, rest)])}."
    return f"{start}: {listed([*map(_survivor, harmed)])}."


def _survivor(system: FaultedSystem) -> str:
    k, n = system.survived
    return f"{system.name} ({k:,} of {n:,} survived)" if n else system.name


def _is_doubtful(square: Square) -> bool:
    return bool(square.count) and square.result is not MISSED and not square.is_unharmed


def _runs(systems: Sequence[FaultedSystem]) -> str:
    runs = {system.name: system.runs for system in systems if system.runs[0]}
    parts = [
        f"{name} missed {missed:,} of {due:,}" + (f" and doubled {doubled:,}" if doubled else "")
        for name, (due, missed, doubled) in runs.items()
        if missed or doubled
    ]
    if not parts:
        return f"None of {plural(len(runs), 'scheduler')} missed a run." if runs else ""
    names = listed(parts)
    return f"{len(parts)} of {plural(len(runs), 'scheduler')} missed or doubled runs: {names}."


def _control(squares: Matrix) -> str:
    parts = [
        f"{system.name} ({square.text}, {square.counted})"
        for system in squares.systems
        for square in system.squares
        if square.fault == FaultKind.NONE and (square.result.is_harm or any(square.runs[1:]))
    ]
    return f"Without a fault: {', '.join(parts)}." if parts else ""


def as_table(squares: Matrix | None) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
    """Return a title, the headings, and each square with a result as text, or each system."""
    headings = ["label", "fault", "worst outcome", "tasks", "95 % interval", "faults"]
    rows = [
        [system.name, square.fault, square.text, _count(square), square.bound, square.survived]
        for system in (squares.systems if squares else ())
        for square in system.squares
        if square.count
    ]
    if squares and len(rows) > MOST_SQUARES:
        return _by_system(squares)
    return TITLE, headings, rows


def _count(square: Square) -> str:
    # The heading says tasks.
    return square.count if square.noun == "tasks" else square.counted


def _by_system(squares: Matrix) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
    """Return a row for each system: in how many faults each result was its worst."""
    counts = [Counter(s.result for s in system.faulty if s.count) for system in squares.systems]
    seen = [result for result in ORDERED if any(result in of for of in counts)]
    rows = [
        [system.name, system.survived, *(str(of[result] or "") for result in seen)]
        for system, of in zip(squares.systems, counts, strict=True)
    ]
    title = f"{TITLE}: the number of faults with each worst outcome"
    return title, ["label", "hits", *(result.word for result in seen)], rows
