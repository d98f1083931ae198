"""Measures the instrumentation cost of a task on this machine (METHOD M19).

The cost is the difference between a no-op that is offered and recorded, and the same no-op without
both. A campaign measures it once per block in each interpreter of its trials, by ``python -m
lab.driver.instrumentation_cost FOLDER`` in a fresh process. The number is in each trial's row; the
rate of a backend without recording is estimated from it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import monotonic_ns

from lab.core.backend import Backend
from lab.core.errors import LabError
from lab.core.model import BackendContext, Task, Topology
from lab.driver.load_generator import LoadGenerator
from lab.planning.phases import Phase
from lab.worker import execution
from lab.worker.ledger import T1, Journal
from workloads import noop

# Many short rounds: a busy machine disturbs some of them, and the median leaves those out.
ROUNDS, CALLS = 60, 200
NAME = "instrumentation of a task"
DEADLINE_S = 60.0
FUNCTION = f"{noop.__name__}:{noop.run.__name__}"


def cost_ns(python: str = "", variables: Mapping[str, str] | None = None) -> float:
    """Measure the cost of offering and recording one task in a fresh process, in ns.

    Args:
        python: The interpreter of the process; empty: that of the lab.
        variables: Those with which it imports the lab.

    Raises:
        LabError: The process failed, printed no such number, or did not end in `DEADLINE_S`.
    """
    # They need psutil, which the interpreter that runs `main` may lack.
    from lab.host import programs, temp_dirs

    with temp_dirs.folder() as folder:
        # Those of a worker, so that a record is written into a ledger as in a trial.
        of_worker = {"LAB_LEDGER": str(folder), "LAB_NODE": "0", "LAB_SLOT": "0"}
        output = programs.output_of(
            [python or sys.executable, "-m", __name__, str(folder)],
            DEADLINE_S,
            name=f"{NAME}: its process",
            variables={**(variables or {}), **of_worker},
        )
    try:
        cost = float(output)
    except ValueError:
        cost = math.nan
    # A negative cost would make the estimated rate lower than the measured one.
    if not 0 <= cost < math.inf:
        raise LabError(f"{NAME}: its process printed {output.strip()[:80]!r}, not a cost.")
    return cost


class NullBackend(Backend):
    """Accepts tasks and runs none."""

    def start(self) -> None:
        """Do nothing."""

    def submit(self, task: Task) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


def main(folder: Path) -> None:
    """Print the median over rounds, each of which runs all four loops."""
    backend = NullBackend(BackendContext("", "", "", Topology(1, 1, 1), {}, {}))
    offering = LoadGenerator(backend, frozenset(), Journal(str(folder / "intents"), ROUNDS * CALLS))
    tasks = [Task(number, FUNCTION, number) for number in range(CALLS)]
    # The loops alternate, so that a change of the CPU's speed affects all of them (METHOD M19).
    rounds = [
        _timed(lambda: _record(tasks))
        - _timed(lambda: _call(tasks))
        + _offer(offering, tasks)
        - _timed(lambda: _submit(backend, tasks))
        for _ in range(ROUNDS)
    ]
    sys.stdout.write(f"{median(rounds) / CALLS}\n")


def _timed(loop: Callable[[], None]) -> int:
    begin = monotonic_ns()
    loop()
    return monotonic_ns() - begin


def _record(tasks: list[Task]) -> None:
    for task in tasks:
        execution.execute(task.id, task.function, task.argument)


def _call(tasks: list[Task]) -> None:
    run = noop.run
    for task in tasks:
        run(task.argument)


def _offer(offering: LoadGenerator, tasks: list[Task]) -> int:
    """Return the time from the first submit call to the end, without planning the rows."""
    first = offering.journal.plan((), Phase.MEASURE.number, ()).start
    offering.offer(Phase.MEASURE, tasks, [0] * len(tasks))
    # A trial plans its rows before the first submit call, so planning is no cost of a task.
    return monotonic_ns() - offering.journal.words[first + T1]


def _submit(backend: Backend, tasks: list[Task]) -> None:
    # The method is looked up once, as `LoadGenerator.offer` does.
    submit = backend.submit
    for task in tasks:
        submit(task)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
