"""Joins the rows of a system on several providers, so that a sentence counts each system once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from lab.report.fault_hits import survival
from lab.report.fault_squares import Square
from lab.report.faults import Matrix, MatrixRow


@dataclass(frozen=True, slots=True)
class FaultedSystem:
    """The rows of one label, one for each provider; `name` is without that of a provider."""

    name: str
    rows: Sequence[MatrixRow]

    @property
    def faulty(self) -> Sequence[Square]:
        """Return its squares with a fault, of all providers."""
        return [square for row in self.rows for square in row.faulty]

    @property
    def has_tasks(self) -> bool:
        """Return whether it was sent tasks under a fault; a scheduler has only runs of jobs."""
        return any(square.n_tasks for square in self.faulty)

    @property
    def is_harmed(self) -> bool:
        """Return whether a fault harmed one of its tasks."""
        return any(square.result.is_harm for square in self.faulty)

    @property
    def survived(self) -> tuple[int, int]:
        """Return how many hits it survived, and how many were decided."""
        return survival(hit for square in self.faulty for hit in square.hits)

    @property
    def runs(self) -> tuple[int, int, int]:
        """Count the runs of its jobs that were due under faults, missed, and doubled."""
        due, missed, doubled = (sum(row.runs[i] for row in self.rows) for i in range(3))
        return due, missed, doubled


def by_system(squares: Matrix) -> list[FaultedSystem]:
    """Return the systems of a matrix, in its order."""
    # Rows of one label are neighbours, one for each provider.
    groups = (list(rows) for _, rows in groupby(squares.systems, key=lambda row: row.label))
    return [
        FaultedSystem(rows[0].name.removesuffix(f" on {rows[0].provider}"), rows) for rows in groups
    ]
