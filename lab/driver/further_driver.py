"""Offers the share of one further driver: ``python -m lab.driver FOLDER NUMBER``.

Where one process cannot make the rate of a plan (METHOD M7), several divide it by index: of n
drivers, number k offers the tasks k, k + n, k + 2n and so on, so that all arrivals together are the
plan. The first driver writes the plan into the journal, which all of them map into their memory;
each stores the instants of its own tasks there. So the trial has one journal, as with one driver.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from lab.core.backend import capabilities, setup_from_environment
from lab.core.serialization import order_from_json
from lab.driver.load_generator import LoadGenerator, sentence
from lab.driver.trial_tasks import TrialTasks
from lab.planning import registry
from lab.planning.phases import Phase
from lab.planning.tasks import freeze_gc
from lab.worker.ledger import T0, WORDS, Journal

JOURNAL = "intents.bin"
# The phases whose tasks the drivers divide among them.
SHARED = (Phase.WARM_UP, Phase.MEASURE)
STOP = "stop"


class FurtherDriver:
    """Offers each n-th task from `number` on, whenever the first driver orders it.

    An order is the name of a phase and its first row in the journal. Each is answered by a line:
    empty, or the first error of a submit call. The first line says that the client has started.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        say: Callable[[str], None],
        await_order: Callable[[], bytes],
    ) -> None:
        self._say, self._await_order = say, await_order
        spec = order_from_json(json.loads((folder / "trial.json").read_text())).spec
        selected = registry.select(spec.label)
        self._backend = selected.backend(setup_from_environment())
        promised = capabilities(selected.backend, selected.variant)
        counts = {Phase.WARM_UP: spec.warmup_tasks, Phase.MEASURE: spec.arrival.n_tasks}
        self._indexes = {
            phase: range(number, counts[phase], spec.topology.drivers) for phase in SHARED
        }
        of_trial = TrialTasks(spec, promised)
        self._tasks = {phase: of_trial.of_workload(phase, self._indexes[phase]) for phase in SHARED}
        self._offering = LoadGenerator(self._backend, promised, Journal(str(folder / JOURNAL)))

    def run(self) -> None:
        """Start the client, follow the orders, and stop it."""
        try:
            self._backend.start()
        except Exception as error:  # noqa: BLE001 (a backend may raise anything; the first driver reports it)
            self._say(sentence(error))
            return
        freeze_gc()
        self._say("")
        while (order := self._await_order().decode().strip()) != STOP:
            phase, first_row = order.split()
            self._offer(Phase(phase), int(first_row))
            self._say(self._offering.error)
        self._backend.stop()

    def _offer(self, phase: Phase, first_row: int) -> None:
        rows = [first_row + index * WORDS for index in self._indexes[phase]]
        instants = [self._offering.journal.words[row + T0] for row in rows]
        self._offering.offer_rows(self._tasks[phase], rows, instants)
