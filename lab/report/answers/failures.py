"""Answers what becomes of tasks when something fails, from the matrix of systems and faults."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.contracts import by_contract, in_title
from lab.core.faults import FaultKind
from lab.figures import Tables
from lab.report.answers.answer import Sentence
from lab.report.fault_squares import Square
from lab.report.faults import Matrix, matrix


def failures(tables: Tables) -> Iterator[Sentence]:
    """Report how many faults each system survived, by contract, then each fault's outcomes."""
    squares = matrix(tables)
    if squares is None:
        return
    # Where every hit missed or is undecided, there is nothing to have survived.
    survivors = [system for system in squares.systems if system.survived]
    for contract, labels in by_contract(dict.fromkeys(s.label for s in survivors)).items():
        systems = [system for system in survivors if system.label in labels]
        rows = [row for system in systems for square in system.squares for row in square.trials]
        parts = [f"{system.name} {system.survived}" for system in systems]
        text = "hits after which no task was lost, stuck or run twice, and no run of a job missed"
        yield Sentence(f"{in_title(contract)}, {text}", list(dict.fromkeys(rows)), parts)
    for number, fault in enumerate(squares.faults):
        yield from _of_fault(squares, number, fault)


def _of_fault(squares: Matrix, number: int, fault: str) -> Iterator[Sentence]:
    column = [(system.name, system.squares[number]) for system in squares.systems]
    # A square without tasks was skipped or failed, and proves nothing about its system.
    tried = [(name, square) for name, square in column if square.count and square.trials]
    if tried:
        rows = [row for _, square in tried for row in square.trials]
        text = "With the control, which lets nothing fail" if fault == FaultKind.NONE else fault
        yield Sentence(text, rows, [f"{name} {_words(square)}" for name, square in tried])


def _words(square: Square) -> str:
    return f"{square.text} ({square.counted}, {square.bound})"
