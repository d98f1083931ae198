"""Runs the phases of one trial, in a fresh process; `lab.driver.__main__` starts it.

The driver reads ``trial.json`` and ``LAB_SETUP``, offers the tasks and writes the journal
``intents.bin``. It updates ``status.json`` in every phase, so that the folder of a killed driver is
readable. It prints each phase on standard output. At a gate it waits for a line on standard input,
while the campaign reads counters. At end of input the lab has ended, and the driver ends too.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from lab.core.backend import Backend, capabilities, setup_from_environment
from lab.core.durations import longest_s
from lab.core.errors import LabError
from lab.core.model import (
    Burst,
    Capability,
    Chain,
    ClientCrash,
    FanOut,
    Idle,
    Paced,
    Periodic,
    Retry,
    RoundTrip,
    Status,
    Task,
)
from lab.core.serialization import order_from_json
from lab.driver import in_system, pacing, readiness, uninstrumented
from lab.driver.further_driver import JOURNAL
from lab.driver.load_generator import sentence, submit_call
from lab.driver.node_records import records_of
from lab.driver.schedule_wait import ScheduleWait
from lab.driver.several_drivers import load_generator
from lab.driver.trial_tasks import TrialTasks
from lab.driver.under_fault import UnderFault
from lab.planning import registry
from lab.planning.fault_tasks import with_fault_tasks
from lab.planning.phases import Phase
from lab.planning.tasks import freeze_gc, plan_hash, right_answer
from lab.recording.ledger_reader import LOOK_S, unfinished
from lab.recording.server_stats import ServerSampler
from lab.worker.ledger import Journal

# The phase `UNRECORDED` offers the tasks of `REPEATED`, too.
PHASES = tuple(phase for phase in Phase if phase is not Phase.REPEATED)
QUIET_S, STOP_DEADLINE_S, RESULT_S = 0.2, 10.0, 1.0


class Driver:
    """The phases of one trial, which run in the order of `PHASES`."""

    def __init__(
        self, folder: Path, say: Callable[[str], None], await_go: Callable[[], object]
    ) -> None:
        self.folder, self._say, self._await_go = folder, say, await_go
        order = order_from_json(json.loads((folder / "trial.json").read_text()))
        self.spec, self._instrumentation_ns = order.spec, order.instrumentation_ns
        self.status: dict[str, Any] = {"status": "running", "reason": "", "phases": []}
        selected = registry.select(self.spec.label)
        setup = setup_from_environment()
        self.backend: Backend = selected.backend(setup)
        self.promised = capabilities(selected.backend, selected.variant)
        self.jobs = setup.jobs
        self.of_trial = TrialTasks(self.spec, self.promised)
        tasks = self.of_trial.of_workload(Phase.MEASURE, range(self.spec.arrival.n_tasks))
        self.tasks = with_fault_tasks(self.spec, tasks)
        self.offsets = pacing.offsets_ns(self.spec.arrival, self.spec.seed)
        total = readiness.most_tasks(self.backend.workers) + self.spec.warmup_tasks
        total += len(self.tasks) + 2 * uninstrumented.n_marks(len(self.tasks))
        journal = Journal(str(folder / JOURNAL), total)
        self.offering = load_generator(self.backend, self.promised, journal, folder)
        self.counters = ServerSampler(setup.endpoints)
        self.records = records_of(folder / "ledger", order.agents, self.counters.samples)
        self.status["missing"] = self.records.missing
        self.watcher = self.records.counter(Phase.WARM_UP.ids)
        self.under_fault = None
        if fault := self.spec.fault:
            self.under_fault = UnderFault(self.offering, self.spec, fault, self.records, folder)

    def run(self) -> None:
        """Run all phases; an exception that ends them early becomes the reason of the trial."""
        try:
            for phase in PHASES[:-1]:
                self._enter(phase)
                getattr(self, phase)()
            self._end(Status.OK if self.status["reason"] == "" else Status.TIMEOUT)
        except Exception as error:  # noqa: BLE001 (a backend may raise anything; the trial's row records it)
            self._end(Status.FAILED, sentence(error))
        # The backend is stopped in every case; this does not change the status of the trial.
        self._enter(Phase.STOP)
        timer = self._deadline(STOP_DEADLINE_S, self.status["status"], self.status["reason"])
        self.stop()
        timer.cancel()
        self._enter("ended")

    def boot(self) -> None:
        """Start the client or the pool."""
        self.records.connect()
        begin_ns = time.monotonic_ns()
        self.backend.start()
        self.status["start_call_ns"] = time.monotonic_ns() - begin_ns
        self.offering.start()
        self.status["settings"] = dict(self.backend.effective_settings())
        self.status["plan_hash"] = plan_hash(self.offsets, self.tasks)

    def verify(self) -> None:
        """Offer sleeping tasks until the ledger shows every worker; see `lab.driver.readiness`.

        A backend that takes no tasks and reads its jobs at its start is not verified here: the
        first firing of each job in the window shows that it works.
        """
        module = registry.workload("io")[1]
        if self.promised & {Capability.SUBMIT, Capability.BATCH}:
            make = partial(self._waiting_tasks, Phase.VERIFY, module)
            readiness.prove(self.offering, module, make, self.records, self.spec.topology)
        elif Capability.RESCHEDULE in self.promised:
            make = partial(self._waiting_tasks, Phase.WARM_UP, module)
            readiness.prove_scheduler(self.offering, module, make, self.records)

    def quiet(self) -> None:
        """Wait while the lab checks connections, and for traffic to end unless tasks follow."""
        self._gate("verified")
        time.sleep(0 if self.spec.warmup_tasks else QUIET_S)

    def warm_up(self) -> None:
        """Run a fixed number of tasks that are not measured (METHOD M16)."""
        n = self.spec.warmup_tasks
        tasks = self.of_trial.of_workload(Phase.WARM_UP, range(n))
        self.offering.forget()
        self.offering.offer(Phase.WARM_UP, tasks, [time.monotonic_ns()] * n)
        if not self.watcher.reaches(self.offering.n_accepted, self.spec.deadline_s):
            problem = f"The warm-up of {n} tasks did not finish in {self.spec.deadline_s:g} s."
            raise LabError(problem + self._why(tasks))

    def measure(self) -> None:
        """Offer the window's tasks as planned, or let its jobs fire when they are due."""
        arrival = self.spec.arrival
        # Before the gate, so that their time is outside the window.
        self.counters.start()
        self.records.read_clocks()
        freeze_gc()
        self._gate("measure")
        self.watcher = self.records.counter(Phase.MEASURE.ids)
        self.offering.forget()
        # A submit call that never returns must not block the trial longer than this.
        overdue = f"Still offering tasks {self.spec.deadline_s:.0f} s after the plan's end."
        timer = self._deadline(longest_s(arrival) + self.spec.deadline_s, Status.TIMEOUT, overdue)
        # The rows of the journal are planned after this; paced tasks due meanwhile would be late.
        begin = time.monotonic_ns() + pacing.lead_ns(arrival, self.spec.topology.drivers)
        self.status["t_begin_ns"] = begin
        if isinstance(arrival, Periodic):
            self.offering.jobs(Phase.MEASURE, self.jobs, begin)
            self.status |= self._appointments(arrival).keep(begin, self.offering.no_more_jobs)
        elif isinstance(arrival, Idle):
            time.sleep(arrival.seconds)
        elif isinstance(arrival, RoundTrip | FanOut | Chain):
            self.offering.in_turn(self.tasks, arrival, self.spec.deadline_s)
        else:
            if isinstance(arrival, Burst | Paced):
                threading.Thread(target=self._watch, daemon=True).start()
            instants = [begin + n for n in self.offsets]
            submit = submit_call(self.backend, arrival, self.tasks)
            offer = self.under_fault.offer if self.under_fault else self.offering.offer
            offer(Phase.MEASURE, self.tasks, instants, submit)
        timer.cancel()
        if isinstance(arrival, ClientCrash):
            # The submit calls have returned; the ledger shows later which tasks were executed.
            self._end(Status.OK)
            self._write_status()
            os.kill(os.getpid(), signal.SIGKILL)

    def _appointments(self, arrival: Periodic) -> ScheduleWait:
        executes = self.backend.executes
        module = self.of_trial.module
        answers = {j.id: right_answer(module, j, executes=executes) for j in self.jobs}
        return ScheduleWait(arrival, self.jobs, answers, self.records)

    def drain(self) -> None:
        """Wait until every accepted task has finished or the deadline; the rest is censored."""
        if self.under_fault:
            self.under_fault.drain()
            self.status["t_end_ns"] = time.monotonic_ns()
            self.under_fault.read_states()
        else:
            self._await_all()
        self._gate("drained")
        self.counters.stop()

    def _await_all(self) -> None:
        # A retried task has two executions: the first one raised.
        n_due = self.offering.n_accepted * (2 if isinstance(self.spec.arrival, Retry) else 1)
        has_ended = self.watcher.reaches(n_due, self.spec.deadline_s)
        if self.offering.error:  # of a batch, whose call raised for one task while others still run
            self.watcher.settles(self.spec.deadline_s)
        # This takes longer than half of a message, so no record ends later than the window.
        self.records.read_clocks()
        self.status["t_end_ns"] = time.monotonic_ns()
        if not has_ended:
            self.status["reason"] = (
                f"{n_due - self.watcher.count()} of {n_due} executions unfinished "
                f"{self.spec.deadline_s:.0f} s after the last was offered."
            )
            self.status["reason"] += self._why(self.tasks)
        if seen := getattr(self.of_trial.module, "seen", None):
            self.status["seen"] = seen(self.backend.setup.endpoints)

    def _why(self, tasks: Sequence[Task]) -> str:
        """Return the error that the backend reports for one of the unfinished tasks, if any."""
        task_ids = unfinished(self.records.fetch(), [task.id for task in tasks])
        timer = self._deadline(STOP_DEADLINE_S, Status.TIMEOUT, self.status["reason"])
        error = self.offering.failure_of(task_ids, RESULT_S)
        timer.cancel()
        return f" The result of one: {error}" if error else ""

    def unrecorded(self) -> None:
        """Offer a burst again uninstrumented, if recording lowered its rate (METHOD M19)."""
        # The rate of a burst in which something failed is no throughput.
        is_burst = isinstance(self.spec.arrival, Burst) and not self.under_fault
        # One driver would offer it at another rate than several.
        is_burst &= self.spec.topology.drivers == 1
        if is_burst and not self.status["reason"]:
            cost_ns = self._instrumentation_ns
            if cost_ns is not None:
                cost_ns += self.spec.check_ns
            self.status["reason"] = uninstrumented.offer_again(
                self.offering, self.tasks, self.records, cost_ns, self.spec.deadline_s
            )
            self._gate("again")

    def stop(self) -> None:
        """Stop the client or the pool."""
        with contextlib.suppress(Exception):  # the status is written already
            self.offering.stop()
            self.backend.stop()

    def _watch(self) -> None:
        finished = self.records.counter(Phase.MEASURE.ids)
        while "t_end_ns" not in self.status:
            self.counters.samples += in_system.samples(finished, self.offering)
            time.sleep(LOOK_S)

    def _waiting_tasks(
        self, phase: Phase, module: ModuleType, n: int, size: int, skip: int = 0
    ) -> list[Task]:
        return self.of_trial.of(phase, range(skip, skip + n), module, size)

    def _enter(self, phase: str) -> None:
        self.status["phases"].append([phase, time.monotonic_ns()])
        self._write_status()
        self._say(phase)

    def _gate(self, name: str) -> None:
        self._say(f"gate {name}")
        self._await_go()

    def _end(self, status: Status, reason: str = "") -> None:
        reason = reason or self.status["reason"]
        if missing := self.records.hand_over():
            # With a fault it is a result: a host that is lost takes its records along.
            status = Status.FAILED if (status, self.under_fault) == (Status.OK, None) else status
        self.status |= {"status": status, "reason": reason, "missing": missing}
        self.status["incomplete"] = sorted(self.records.incomplete)
        self.status["samples"] = [asdict(sample) for sample in self.counters.samples]
        if self.offering.error:
            self.status["submit_error"] = self.offering.error

    def _deadline(self, seconds: float, status: Status, reason: str) -> threading.Timer:
        """Start a timer that writes the status and ends the process, even one that hangs."""

        def give_up() -> None:
            self.status.setdefault("t_end_ns", time.monotonic_ns())
            self._end(status, reason)
            self._write_status()
            # A thread cannot interrupt a call in which the main thread hangs.
            os._exit(1)

        timer = threading.Timer(seconds, give_up)
        timer.daemon = True
        timer.start()
        return timer

    def _write_status(self) -> None:
        temporary = self.folder / "status.json.new"
        temporary.write_text(json.dumps(self.status))
        temporary.replace(self.folder / "status.json")
