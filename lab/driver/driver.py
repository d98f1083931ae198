"""Drives one trial through its phases, in a fresh process: ``python -m lab.driver FOLDER``.

It reads ``trial.json`` and ``LAB_SETUP``, offers the tasks, writes the journal ``intents.bin`` and
keeps ``status.json`` true at every moment, so that a kill leaves a readable trial. It says each
phase on standard output and waits at gates for a line on standard input, where the campaign reads
its counters. End of input means that the lab is gone, and so then is this.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from lab.core.backend import Backend, capabilities, setup_from_environment
from lab.core.errors import LabError
from lab.core.model import (
    Abandoned,
    Burst,
    Capability,
    Chained,
    FanOut,
    Idle,
    Paced,
    Periodic,
    Retried,
    RoundTrip,
    Status,
    Task,
)
from lab.core.serialization import order_from_json
from lab.driver import pacing, readiness, uninstrumented
from lab.driver.load_generator import Offering, sentence, way
from lab.driver.schedule_wait import Appointments, longest_s
from lab.planning import registry
from lab.planning.tasks import (
    FIRST_TASK,
    ids_of,
    make_tasks,
    plan_hash,
    right_answer,
    set_apart,
    unchecked,
)
from lab.recording.ledger_reader import LOOK_S, Watcher, unfinished
from lab.recording.server_stats import Sample, Watch
from lab.worker.ledger import MEASURE, VERIFY, WARM_UP, Journal

PHASES = ("boot", "verify", "quiet", "warm_up", "measure", "drain", "unrecorded", "stop")
QUIET_S = 0.2
STOP_DEADLINE_S, RESULT_S = 10.0, 1.0


class Driver:
    """One trial's phases; the order in which they run is `PHASES`."""

    def __init__(
        self, folder: Path, say: Callable[[str], None], await_go: Callable[[], object]
    ) -> None:
        self.folder, self._say, self._await_go = folder, say, await_go
        order = order_from_json(json.loads((folder / "trial.json").read_text()))
        self.spec, self._harness_ns = order.spec, order.harness_ns
        self.status: dict[str, Any] = {"status": "running", "reason": "", "phases": []}
        selected = registry.select(self.spec.label)
        setup = setup_from_environment()
        self.backend: Backend = selected.backend(setup)
        self.promised = capabilities(selected.backend, selected.variant)
        self.workload, self.module = registry.workload(self.spec.workload)
        self.jobs = setup.jobs
        self.tasks = self._tasks(MEASURE, self.spec.arrival.n_tasks, self.module, self.spec.size)
        self.offsets = pacing.offsets_ns(self.spec.arrival, self.spec.seed)
        total = readiness.most_tasks(self.backend.workers) + self.spec.warmup_tasks
        total += len(self.tasks) + 2 * uninstrumented.n_marks(len(self.tasks))
        journal = Journal(str(folder / "intents.bin"), total)
        self.offering = Offering(self.backend, self.promised, journal)
        self.watcher = Watcher(folder / "ledger", ids_of(WARM_UP))
        self.counters = Watch(setup.endpoints)

    def run(self) -> None:
        """Go through the phases; whatever ends them early is written down with its reason."""
        try:
            for name in PHASES[:-1]:
                self._enter(name)
                getattr(self, name)()
            self._end(Status.OK if self.status["reason"] == "" else Status.TIMEOUT)
        except Exception as error:  # noqa: BLE001 (a system may raise anything; it becomes a row)
            self._end(Status.FAILED, sentence(error))
        # Whatever happened before, the system is asked to stop; the verdict stands already.
        self._enter("stop")
        verdict = Status(self.status["status"]), self.status["reason"]
        give_up = self._deadline(STOP_DEADLINE_S, *verdict)
        self.stop()
        give_up.cancel()
        self._enter("ended")

    def boot(self) -> None:
        """Make the client or pool ready."""
        begun_ns = time.monotonic_ns()
        self.backend.start()
        self.status["start_call_ns"] = time.monotonic_ns() - begun_ns
        self.status["settings"] = dict(self.backend.effective_settings())
        self.status["plan_hash"] = plan_hash(self.offsets, self.tasks)

    def verify(self) -> None:
        """Offer waiting tasks until the ledger proves every worker; see `lab.driver.readiness`.

        One that knows its jobs as it starts, and takes nothing, proves itself by the first run of
        each, in the window.
        """
        module, ledger = registry.workload("io")[1], self.folder / "ledger"
        if self.promised & {Capability.SUBMIT, Capability.BATCH}:
            make = partial(self._tasks, VERIFY, module=module)
            readiness.prove(self.offering, module, make, ledger, self.spec.topology)
        elif Capability.RESCHEDULE in self.promised:
            make = partial(self._tasks, WARM_UP, module=module)
            readiness.prove_scheduler(self.offering, module, make, ledger)

    def quiet(self) -> None:
        """Let the lab look at connections, and the last traffic die down."""
        self._gate("verified")
        time.sleep(QUIET_S)

    def warm_up(self) -> None:
        """Run a fixed number of tasks that do not count (METHOD M16)."""
        n = self.spec.warmup_tasks
        tasks = self._tasks(WARM_UP, n, self.module, self.spec.size)
        self.offering.accepted = 0
        self.offering.offer(WARM_UP, tasks, [time.monotonic_ns()] * n)
        if not self.watcher.reaches(self.offering.accepted, self.spec.deadline_s):
            late = f"The warm-up of {n} tasks did not finish in {self.spec.deadline_s:g} s."
            raise LabError(late + self._why(tasks))

    def measure(self) -> None:
        """Offer the window's tasks as planned, or have its jobs run when they are due."""
        arrival = self.spec.arrival
        self.counters.start()
        set_apart()
        self._gate("measure")
        self.watcher = Watcher(self.folder / "ledger", ids_of(MEASURE))
        self.offering.accepted = 0
        # A submit call that never returns must not keep the trial: planned length and deadline.
        overdue = f"Still offering tasks {self.spec.deadline_s:.0f} s after the plan's end."
        give_up = self._deadline(longest_s(arrival) + self.spec.deadline_s, Status.TIMEOUT, overdue)
        begin = time.monotonic_ns() + (5_000_000 if isinstance(arrival, Paced) else 0)
        self.status["t_begin_ns"] = begin
        if isinstance(arrival, Periodic):
            self.offering.jobs(MEASURE, self.jobs, begin)
            self.status |= self._appointments(arrival).keep(begin, self.offering.no_more_jobs)
        elif isinstance(arrival, Idle):
            time.sleep(arrival.seconds)
        elif isinstance(arrival, RoundTrip | FanOut | Chained):
            self.offering.in_turn(self.tasks, arrival, self.spec.deadline_s)
        else:
            if isinstance(arrival, Burst | Paced):
                threading.Thread(target=self._look, daemon=True).start()
            instants, by = [begin + n for n in self.offsets], way(self.backend, arrival, self.tasks)
            self.offering.offer(MEASURE, self.tasks, instants, by)
        give_up.cancel()
        if isinstance(arrival, Abandoned):
            # Its word stands; what becomes of the tasks is for the ledger to tell.
            self._end(Status.OK)
            self._write_status()
            os.kill(os.getpid(), signal.SIGKILL)

    def _appointments(self, arrival: Periodic) -> Appointments:
        executes = self.backend.executes
        answers = {j.id: right_answer(self.module, j, executes=executes) for j in self.jobs}
        return Appointments(arrival, self.jobs, answers, self.folder / "ledger")

    def drain(self) -> None:
        """Wait until every accepted task has finished, or the deadline; the rest is censored."""
        # A task that is retried has raised once before.
        due = self.offering.accepted * (2 if isinstance(self.spec.arrival, Retried) else 1)
        has_ended = self.watcher.reaches(due, self.spec.deadline_s)
        self.status["t_end_ns"] = time.monotonic_ns()
        if not has_ended:
            self.status["reason"] = (
                f"{due - self.watcher.count()} of {due} executions unfinished "
                f"{self.spec.deadline_s:.0f} s after the last was offered."
            )
            self.status["reason"] += self._why(self.tasks)
        if seen := getattr(self.module, "seen", None):
            self.status["seen"] = seen(self.backend.setup.endpoints)
        self._gate("drained")
        self.counters.stop()

    def _why(self, tasks: Sequence[Task]) -> str:
        """Say what the system says of those of some tasks that do not end."""
        give_up = self._deadline(STOP_DEADLINE_S, Status.TIMEOUT, self.status["reason"])
        left = unfinished(self.folder / "ledger", [task.id for task in tasks])
        why = self.offering.failure_of(left, RESULT_S)
        give_up.cancel()
        return f" The result of one: {why}" * bool(why)

    def unrecorded(self) -> None:
        """Offer a burst again without its record, where that has lowered its rate (METHOD M19)."""
        if isinstance(self.spec.arrival, Burst) and not self.status["reason"]:
            ours_ns = None if self._harness_ns is None else self._harness_ns + self.spec.check_ns
            told = self.folder / "ledger", ours_ns, self.spec.deadline_s
            self.status["reason"] = uninstrumented.offer_again(self.offering, self.tasks, *told)
            self._gate("again")

    def stop(self) -> None:
        """Release the client or pool."""
        with contextlib.suppress(Exception):  # the verdict is written; a failed stop adds nothing
            self.backend.stop()

    def _look(self) -> None:
        """Sample how many tasks are in the system, for Little's law (METHOD M13)."""
        watcher = Watcher(self.folder / "ledger", ids_of(MEASURE))
        while "t_end_ns" not in self.status:
            # The finished first: what is accepted meanwhile is in the system, never less than none.
            finished = watcher.count()
            left = max(0, self.offering.accepted - finished)
            seen = Sample(time.monotonic_ns(), "ledger", "in_system", "tasks", left)
            self.counters.samples.append(seen)
            time.sleep(LOOK_S)

    def _tasks(
        self, phase: int, n: int, module: ModuleType, size: int, skip: int = 0
    ) -> list[Task]:
        first = FIRST_TASK[phase] + skip
        ids, is_own = range(first, first + n), module is self.module
        as_coroutines = Capability.COROUTINES in self.promised
        as_coroutines |= is_own and self.spec.is_coroutine
        tasks = make_tasks(module, size, self.spec.seed, ids, as_coroutines=as_coroutines)
        is_known = phase == WARM_UP and self.spec.answer is not None
        return unchecked(tasks) if is_own and self.spec.unchecked and not is_known else tasks

    def _enter(self, phase: str) -> None:
        self.status["phases"].append([phase, time.monotonic_ns()])
        self._write_status()
        self._say(phase)

    def _gate(self, name: str) -> None:
        self._say(f"gate {name}")
        self._await_go()

    def _end(self, status: Status, reason: str = "") -> None:
        self.status["status"] = status
        self.status["reason"] = reason or self.status["reason"]
        self.status["samples"] = self.counters.samples
        if self.offering.error:
            self.status["submit_error"] = self.offering.error

    def _deadline(self, seconds: float, status: Status, reason: str) -> threading.Timer:
        """Arm a timer that writes the status and ends the process, whatever it hangs in."""

        def give_up() -> None:
            self.status.setdefault("t_end_ns", time.monotonic_ns())
            self._end(status, reason)
            self._write_status()
            os._exit(1)

        timer = threading.Timer(seconds, give_up)
        timer.daemon = True
        timer.start()
        return timer

    def _write_status(self) -> None:
        temporary = self.folder / "status.json.new"
        temporary.write_text(json.dumps(self.status))
        temporary.replace(self.folder / "status.json")


def main(folder: Path) -> None:
    """Run the trial of `folder`, and end without waiting for threads that may hang.

    The two pipes to the campaign move to descriptors of their own first: a pool's children close
    their standard input, and a task may print.
    """
    commands, words = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    gates: queue.Queue[bytes] = queue.Queue()

    def listen() -> None:
        while line := os.read(commands, 16):
            gates.put(line)
        os._exit(2)  # the lab is gone; nothing of ours may outlive it

    def say(text: str) -> None:
        os.write(words, f"{text}\n".encode())

    threading.Thread(target=listen, daemon=True).start()
    Driver(folder, say, gates.get).run()
    os._exit(0)
