"""Gives the driver the workers' records: the count of finished tasks, and the ledger's folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from lab.recording.ledger_reader import CompletionCounter, Completions
from lab.recording.sample import Sample


class WorkerRecords:
    """The records of workers that write into the driver's own folder, on the driver's clock.

    Attributes:
        ledger: The folder of the records.
        bound_ns: The largest error of an instant in the ledger.
        samples: Those of the trial, to which the ones of the network are added.
        missing: What the ledger lacks so far; empty if nothing.
        incomplete: The nodes of whose machines it lacks something.
    """

    missing = ""
    incomplete: Collection[int] = ()

    def __init__(self, ledger: Path, samples: list[Sample]) -> None:
        self.ledger = ledger
        self.bound_ns = 0
        self.samples = samples

    def connect(self) -> None:
        """Prepare to read the records.

        Raises:
            ClusterError: They cannot be reached; the message names the node.
        """

    def counter(self, tasks: range) -> Completions:
        """Return a counter of the finished executions of some tasks."""
        return CompletionCounter(self.ledger, tasks)

    def read_clocks(self) -> None:
        """Read the clocks of the workers, if they are others than the driver's."""

    def copy_early(self) -> None:
        """Copy the records while they are written: a machine may leave, and take the others along.

        Not in a window that measures speed, which this costs.
        """

    def fetch(self) -> Path:
        """Bring the records so far into the ledger, and return its folder.

        Raises:
            DiskError: The disk of the ledger is full.
        """
        return self.ledger

    def hand_over(self) -> str:
        """Bring all records into the ledger after the window; a second call changes nothing.

        Returns:
            What is missing and why, one sentence for each problem; empty if the ledger is complete.
        """
        return self.missing
