"""Divides the tasks of a trial among several drivers; see `lab.driver.further_driver`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.core.backend import Backend
from lab.core.errors import LabError
from lab.core.model import Capability, Task
from lab.driver.further_driver import SHARED, STOP
from lab.driver.load_generator import LoadGenerator, Submit
from lab.planning.phases import Phase
from lab.worker.ledger import ACCEPTED, ACK, Journal

STOP_S = 5.0


def load_generator(
    backend: Backend, promised: frozenset[Capability], journal: Journal, folder: Path
) -> LoadGenerator:
    """Return the load generator of a trial: of this process alone, or with further drivers."""
    drivers = backend.setup.topology.drivers
    if drivers == 1:
        return LoadGenerator(backend, promised, journal)
    return SeveralDrivers(backend, promised, journal, folder, drivers)


class SeveralDrivers(LoadGenerator):
    """Offers each n-th task itself, and lets further drivers offer the others."""

    def __init__(
        self,
        backend: Backend,
        promised: frozenset[Capability],
        journal: Journal,
        folder: Path,
        drivers: int,
    ) -> None:
        super().__init__(backend, promised, journal)
        self._others = [_Other(folder, number, journal) for number in range(1, drivers)]

    def start(self) -> None:
        """Start the further drivers, and wait until their clients have started.

        Raises:
            LabError: One did not start; the message has its number and its error.
        """
        for other in self._others:
            other.start()
        for other in self._others:
            if error := other.answer():
                raise LabError(f"{other.name} did not start: {error}")

    def offer(
        self,
        phase: Phase,
        tasks: Sequence[Task],
        instants: Sequence[int],
        submit: Submit | None = None,
    ) -> None:
        """Offer each task at its instant; all tasks of the verify phase from this process.

        Raises:
            LabError: A further driver ended; the message has its number.
        """
        if phase not in SHARED:
            super().offer(phase, tasks, instants, submit)
            return
        rows = self.journal.plan([task.id for task in tasks], phase.number, instants)
        n = 1 + len(self._others)
        for number, other in enumerate(self._others, start=1):
            other.order(phase, rows.start, rows[number::n])
        self.offer_rows(tasks[::n], rows[::n], instants[::n], submit)
        for other in self._others:
            error = other.answer()
            self.error = self.error or error

    def forget(self) -> None:
        """Count accepted tasks from 0 on."""
        super().forget()
        for other in self._others:
            other.forget()

    @property
    def n_accepted(self) -> int:
        """The number of tasks of the last `offer` that were accepted so far, by all drivers."""
        return self.accepted + sum(other.n_accepted() for other in self._others)

    def stop(self) -> None:
        """Stop the further drivers."""
        for other in self._others:
            other.stop()
        for other in self._others:
            other.wait()


class _Other:
    """A further driver, as the first one sees it; `name` counts the drivers from 1."""

    def __init__(self, folder: Path, number: int, journal: Journal) -> None:
        self.name = f"Driver {number + 1}"
        # Its errors go to the log of this process.
        self._command = [sys.executable, "-m", "lab.driver", str(folder), str(number)]
        self._words = journal.words
        self._rows: Sequence[int] = ()
        self._seen = 0, 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process."""
        pipe = subprocess.PIPE
        # That of this process, to which its provider gave the fixed list and the trial's setup.
        environment = dict(os.environ)
        self._process = subprocess.Popen(
            self._command, env=environment, stdin=pipe, stdout=pipe, text=True
        )

    def order(self, phase: Phase, first_row: int, rows: Sequence[int]) -> None:
        """Let it offer the tasks of its rows in the journal."""
        self._rows = rows
        self._write(f"{phase} {first_row}")

    def answer(self) -> str:
        """Wait for its answer, and return it: the first error of its submit calls, if any.

        Raises:
            LabError: It ended without one.
        """
        line = self._process.stdout.readline() if self._process and self._process.stdout else ""
        if not line:
            raise LabError(f"{self.name} ended early. See logs/driver.log of this trial.")
        return line.strip()

    def forget(self) -> None:
        """Count no task of the former phase any more."""
        self._rows, self._seen = (), (0, 0)

    def n_accepted(self) -> int:
        """Return how many of its tasks were accepted so far."""
        # Its calls end in the order of its rows. Stored at once, because two threads may count.
        n, n_accepted = self._seen
        while n < len(self._rows) and (result := self._words[self._rows[n] + ACK]):
            n, n_accepted = n + 1, n_accepted + (result == ACCEPTED)
        self._seen = n, n_accepted
        return n_accepted

    def stop(self) -> None:
        """Let it stop its client and end."""
        self._write(STOP)

    def wait(self) -> None:
        """Wait for its end, and kill it if it does not end in time."""
        if self._process is None:
            return
        # Closes its pipes, too; one with an order that could not be sent raises.
        with contextlib.suppress(ConnectionError), self._process:
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def _write(self, line: str) -> None:
        if self._process and self._process.stdin:
            # One that has ended is reported by its missing answer.
            with contextlib.suppress(ConnectionError):
                self._process.stdin.write(f"{line}\n")
                self._process.stdin.flush()
