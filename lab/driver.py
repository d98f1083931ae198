"""Drives one trial through its phases, in a fresh process: ``python -m lab.driver FOLDER``.

It reads ``trial.json``, offers the tasks, writes the journal ``intents.bin`` and keeps
``status.json`` true at every moment, so that a kill leaves a readable trial. It says each phase
on standard output and waits, before and after the window, for a line on standard input: there
the campaign reads its counters. End of input means that the lab is gone, and so then is this.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from lab import arrivals, readiness, registry
from lab.backend import Backend, capabilities
from lab.errors import LabError
from lab.ledger import ACCEPTED, ACK, ERROR, MEASURE, T0, T1, T2, T5, VERIFY, WARM_UP, Journal
from lab.model import Burst, Capability, RoundTrip, Status, Task
from lab.readback import Watcher
from lab.specs import order_from_json
from lab.tasks import FIRST_TASK, make_tasks, plan_hash, right_answer

PHASES = ("boot", "verify", "quiet", "warm_up", "measure", "drain", "stop")
QUIET_S = 0.2
# Often enough to see a queue build up, seldom enough to cost an in-process system nothing.
LOOK_S = 0.05
STOP_DEADLINE_S = 10.0


class Driver:
    """One trial's phases; the order in which they run is `PHASES`."""

    def __init__(
        self, folder: Path, say: Callable[[str], None], await_go: Callable[[], object]
    ) -> None:
        self.folder, self._say, self._await_go = folder, say, await_go
        order = order_from_json(json.loads((folder / "trial.json").read_text()))
        self.spec = order.spec
        self.status: dict[str, Any] = {"status": "running", "reason": "", "phases": []}
        selected = registry.select(self.spec.label)
        self.backend: Backend = selected.backend(order.setup)
        self.promised = capabilities(selected.backend, selected.variant)
        self.workload, self.module = registry.workload(self.spec.workload)
        self.tasks = self._tasks(MEASURE, self.spec.arrival.n_tasks, self.module, self.spec.size)
        self.offsets = arrivals.offsets_ns(self.spec.arrival, self.spec.seed)
        verify_rows = sum(
            readiness.round_size(number, self.backend.workers)[0]
            for number in range(readiness.ROUNDS)
        )
        total = verify_rows + self.spec.warmup_tasks + len(self.tasks)
        self.journal = Journal(str(folder / "intents.bin"), total)
        self.watcher = Watcher(folder / "ledger", FIRST_TASK[WARM_UP])
        self.accepted = 0
        self.in_system: list[tuple[int, int]] = []

    def run(self) -> None:
        """Go through the phases; whatever ends them early is written down with its reason."""
        try:
            for name in PHASES[:-1]:
                self._enter(name)
                getattr(self, name)()
            self._end(Status.OK if self.status["reason"] == "" else Status.TIMEOUT)
        except Exception as error:  # noqa: BLE001 (a system may raise anything; it becomes a row)
            self._end(Status.FAILED, _sentence(error))
        # Whatever happened before, the system is asked to stop; the verdict stands already.
        self._enter("stop")
        verdict = Status(self.status["status"]), self.status["reason"]
        give_up = self._deadline(STOP_DEADLINE_S, *verdict)
        self.stop()
        give_up.cancel()
        self._enter("ended")

    def boot(self) -> None:
        """Make the client or pool ready."""
        self.backend.start()
        self.status["settings"] = dict(self.backend.effective_settings())
        self.status["plan_hash"] = plan_hash(self.offsets, self.tasks)

    def verify(self) -> None:
        """Offer waiting tasks until the ledger proves every worker; see `lab.readiness`."""
        deadline = time.monotonic() + readiness.DEADLINE_S
        workers, ledger = self.backend.workers, self.folder / "ledger"
        _, module = registry.workload("io")
        skip = 0
        for number in range(readiness.ROUNDS):
            n, wait_us = readiness.round_size(number, workers)
            tasks = self._tasks(VERIFY, n, module, wait_us, skip)
            skip += n
            watcher = Watcher(ledger, tasks[0].id)
            sent = time.monotonic_ns()
            self._offer(VERIFY, tasks, [sent] * n)
            while watcher.count() < n and time.monotonic() < deadline:
                time.sleep(0.002)
            answers = {t.id: right_answer(module, t, executes=self.backend.executes) for t in tasks}
            seen = time.monotonic_ns()
            if readiness.is_proven(ledger, answers, sent, seen, self.spec.topology):
                return
            if time.monotonic() > deadline:
                break
        raise LabError(
            f"Not all of {workers} workers were at work at once in the verify phase; "
            "the logs folder of this trial says what they did."
        )

    def quiet(self) -> None:
        """Let the last traffic of the verify phase die down."""
        time.sleep(QUIET_S)

    def warm_up(self) -> None:
        """Run a fixed number of tasks that do not count (METHOD M16)."""
        n = self.spec.warmup_tasks
        tasks = self._tasks(WARM_UP, n, self.module, self.spec.size)
        self.accepted = 0
        self._offer(WARM_UP, tasks, [time.monotonic_ns()] * n)
        if not self._wait(self.spec.deadline_s):
            raise LabError(f"The warm-up of {n} tasks did not finish in {self.spec.deadline_s} s.")

    def measure(self) -> None:
        """Offer the window's tasks as planned."""
        self._gate("measure")
        self.watcher = Watcher(self.folder / "ledger", FIRST_TASK[MEASURE])
        self.accepted = 0
        # A submit call that never returns must not keep the trial: planned length and deadline.
        longest = self.offsets[-1] / 1e9 + self.spec.deadline_s
        overdue = f"Still offering tasks {self.spec.deadline_s:.0f} s after the plan's end."
        give_up = self._deadline(longest, Status.TIMEOUT, overdue)
        begin = time.monotonic_ns() + (0 if isinstance(self.spec.arrival, Burst) else 5_000_000)
        self.status["t_begin_ns"] = begin
        if isinstance(self.spec.arrival, RoundTrip):
            self._round_trips()
        else:
            threading.Thread(target=self._look, daemon=True).start()
            self._offer(MEASURE, self.tasks, [begin + offset for offset in self.offsets])
        give_up.cancel()

    def _round_trips(self) -> None:
        submit, result = self.backend.submit, self.backend.result
        now, words = time.monotonic_ns, self.journal.words
        rows = self.journal.plan([t.id for t in self.tasks], MEASURE, [0] * len(self.tasks))
        for task, row in zip(self.tasks, rows, strict=True):
            # Each is offered when the one before has come back, so intended is when it is sent.
            words[row + T0] = words[row + T1] = now()
            handle = submit(task)
            words[row + T2] = now()
            words[row + ACK] = ACCEPTED
            self.accepted += 1
            result(handle, self.spec.deadline_s)
            words[row + T5] = now()

    def drain(self) -> None:
        """Wait until every accepted task has finished, or the deadline; the rest is censored."""
        if not self._wait(self.spec.deadline_s):
            left = self.accepted - self.watcher.count()
            self.status["reason"] = (
                f"{left} of {self.accepted} tasks unfinished {self.spec.deadline_s:.0f} s "
                "after the last was offered."
            )
        self.status["t_end_ns"] = time.monotonic_ns()
        self._gate("drained")

    def stop(self) -> None:
        """Release the client or pool."""
        with contextlib.suppress(Exception):  # the verdict is written; a failed stop adds nothing
            self.backend.stop()

    def _offer(self, phase: int, tasks: Sequence[Task], instants: Sequence[int]) -> None:
        """Offer tasks at their instants, all at once where instants are equal and it can."""
        rows = self.journal.plan([task.id for task in tasks], phase, instants)
        if Capability.BATCH in self.promised and instants[:1] == instants[-1:]:
            self._offer_all(tasks, rows)
            return
        submit, now, words = self.backend.submit, time.monotonic_ns, self.journal.words
        for task, row, _ in zip(tasks, rows, arrivals.pace(instants), strict=True):
            words[row + T1] = now()
            try:
                submit(task)
            except Exception as error:  # noqa: BLE001 (refused: the checker counts it, M28)
                words[row + T2] = now()
                words[row + ACK] = ERROR
                self.status.setdefault("submit_error", _sentence(error))
            else:
                words[row + T2] = now()
                words[row + ACK] = ACCEPTED
                self.accepted += 1

    def _offer_all(self, tasks: Sequence[Task], rows: Sequence[int]) -> None:
        words = self.journal.words
        t1 = time.monotonic_ns()
        for row in rows:
            words[row + T1] = t1
        acknowledged = ERROR
        try:
            self.backend.submit_all(tasks)
            acknowledged = ACCEPTED
            self.accepted += len(tasks)
        except Exception as error:  # noqa: BLE001 (one call: it was refused for all of them)
            self.status.setdefault("submit_error", _sentence(error))
        t2 = time.monotonic_ns()
        for row in rows:
            words[row + T2], words[row + ACK] = t2, acknowledged

    def _wait(self, deadline_s: float) -> bool:
        deadline = time.monotonic() + deadline_s
        while self.watcher.count() < self.accepted:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def _look(self) -> None:
        """Sample how many tasks are in the system, for Little's law (METHOD M13)."""
        watcher = Watcher(self.folder / "ledger", FIRST_TASK[MEASURE])
        while "t_end_ns" not in self.status:
            # The finished first: what is accepted meanwhile is in the system, never less than none.
            finished = watcher.count()
            self.in_system.append((time.monotonic_ns(), max(0, self.accepted - finished)))
            time.sleep(LOOK_S)

    def _tasks(
        self, phase: int, n: int, module: ModuleType, size: int, skip: int = 0
    ) -> list[Task]:
        first = FIRST_TASK[phase] + skip
        as_coroutines = Capability.COROUTINES in self.promised
        ids = range(first, first + n)
        return make_tasks(module, size, self.spec.seed, ids, as_coroutines=as_coroutines)

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
        self.status["in_system"] = self.in_system

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


def _sentence(error: BaseException) -> str:
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, LabError) else f"{type(error).__name__}: {text}"[:300]


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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
