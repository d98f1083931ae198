"""Writes the matrix of systems and faults for the terminal: a table, and a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lab.core.faults import FaultKind
from lab.report.fault_results import OK, REFUSED, RESULTS
from lab.report.faults import Matrix
from lab.report.number_format import plural

TITLE = "What becomes of tasks when something fails"
# With more squares, the terminal has a row for each system, and the page has the squares.
MOST_SQUARES = 60


def sentence(squares: Matrix) -> str:
    """Return the line of the terminal: how many systems lost or repeated tasks, and which."""
    is_harmed = {
        system.name: any(square.result.is_harm for square in system.squares)
        for system in squares.systems
    }
    n, k = plural(len(is_harmed), "system"), sum(is_harmed.values())
    if not k:
        return f"Faults: none of {n} lost a task or ran one twice."
    start = f"Faults: {k} of {n} lost tasks or ran them twice"
    # The shorter list; where nothing is decided, nothing was survived either.
    rest = [s for s in squares.systems if s.survived and not is_harmed[s.name]]
    if 0 < len(rest) < k:
        names = ", ".join(f"{system.name} ({system.survived})" for system in rest)
        return f"{start}. No hit harmed a task of {names}."
    harmed = [
        f"{system.name} ({system.survived})" if system.survived else system.name
        for system in squares.systems
        if is_harmed[system.name]
    ]
    return f"{start}: {', '.join(harmed)}."


def as_table(squares: Matrix | None) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
    """Return a title, the headings, and each square with a result as text, or each system."""
    headings = ["label", "fault", "worst outcome", "tasks", "95 % interval", "faults"]
    rows = [
        [system.name, square.fault, square.text, square.count, square.bound, square.survived]
        for system in (squares.systems if squares else ())
        for square in system.squares
        if square.count
    ]
    if squares and len(rows) > MOST_SQUARES:
        return _by_system(squares)
    return TITLE, headings, rows


def _by_system(squares: Matrix) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
    """Return a row for each system: in how many faults each result was its worst."""
    counts = [
        Counter(s.result for s in system.squares if s.count and s.fault != FaultKind.NONE)
        for system in squares.systems
    ]
    seen = [result for result in (*RESULTS, REFUSED, OK) if any(result in of for of in counts)]
    rows = [
        [system.name, system.survived, *(str(of[result] or "") for result in seen)]
        for system, of in zip(squares.systems, counts, strict=True)
    ]
    title = f"{TITLE}: the number of faults with each worst outcome"
    return title, ["label", "hits", *(result.word for result in seen)], rows
