"""Answers what becomes of tasks when something fails, from the matrix of systems and faults."""

from __future__ import annotations

from collections.abc import Iterator

from lab.core.faults import FaultKind
from lab.figures import Tables
from lab.report.answers.answer import Sentence
from lab.report.fault_squares import Square
from lab.report.faults import Matrix, matrix


def failures(tables: Tables) -> Iterator[Sentence]:
    """Report how many faults each system survived, then the outcome of tasks for each fault."""
    squares = matrix(tables)
    if squares is None:
        return
    # Where every hit missed or is undecided, there is nothing to have survived.
    survivors = [system for system in squares.systems if system.survived]
    if survivors:
        rows = [row for system in survivors for square in system.squares for row in square.trials]
        parts = [f"{system.name} {system.survived}" for system in survivors]
        text = "Hits after which no task was lost, stuck or run twice, and no run of a job missed"
        yield Sentence(text, list(dict.fromkeys(rows)), parts)
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
