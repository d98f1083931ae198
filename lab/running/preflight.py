"""Calls the user's function before a run: ``python -m lab.running.preflight NAME NOTES N``.

In a process of its own, with a deadline and a limit of memory, for such a function may do anything.
What it answered then is the right answer, how long it took is its nominal duration, and each way in
which systems carry a task to a worker is tried with it.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.core.errors import UsageError
from lab.core.model import Carrier, Rehearsal
from lab.host import child_environment, interrupts, processes
from lab.worker import user_function
from lab.worker.execution import checksum

DEADLINE_S = 20.0
LOOK_S = 0.01
LONGEST_REASON = 200
# What checking an answer may take in the window: some records of a task, without which a burst is
# offered again where they lower its rate, or this share of the call. What takes longer is checked
# in the warm-up alone.
CHEAP_CHECK_NS, MOST_OF_A_CALL = 20_000, 0.01
# The quickest of so many counts: the first one also imports what it needs.
CHECKS = 3

Note = Callable[..., None]


def rehearse(
    workload: str, folder: Path, deadline_s: float = DEADLINE_S, pass_env: Sequence[str] = ()
) -> Rehearsal:
    """Have a function of the user's own called three times, and tell what was seen.

    Twice in one process and once in another, in which sets of text have another order: an answer
    that is the same each time is one that any worker must give.

    Args:
        workload: Its name with its arguments, as `own_task.name_of` makes it.
        folder: Where what it prints may lie.
        deadline_s: How long its import and its calls may take in each of both processes.
        pass_env: The user's variables that it is given.

    Raises:
        UsageError: There is no such function, or its arguments cannot be had.
    """
    given = {**child_environment.passed(pass_env), **child_environment.with_users_code()}
    seen = _look_on(workload, folder, 1, deadline_s, given)
    nominal_ns, check_ns = seen.get("nominal_ns", 0), seen.get("check_ns", 0)
    if "answer" in seen:
        again = _look_on(workload, folder, 2, deadline_s, given)
        if again.get("answer") != seen["answer"]:
            other = again["trouble"] or "two processes gave different answers"
            seen |= {"answer": None, "trouble": other, "failure": again["failure"]}
        elif check_ns > max(CHEAP_CHECK_NS, MOST_OF_A_CALL * nominal_ns):
            cost = f"a check takes {check_ns / 1e6:.3g} ms, a call {nominal_ns / 1e6:.3g} ms"
            seen |= {"trouble": cost}
    return Rehearsal(
        nominal_ns=nominal_ns,
        answer=seen.get("answer"),
        is_coroutine=seen.get("is_coroutine", False),
        trouble=seen["trouble"],
        refusals=tuple(seen.get("refusals", {}).items()),
        check_ns=0 if seen["trouble"] else check_ns,
        failure=seen["failure"],
    )


def _look_on(
    workload: str, folder: Path, number: int, deadline_s: float, given: Mapping[str, str]
) -> dict[str, Any]:
    """Have process `number` of a rehearsal run to its end, and return what it noted."""
    told, trial = folder / f"rehearsal-{number}.json", f"rehearsal-{os.getpid()}"
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: trial}
    # It may write where tasks find the ledger.
    labels |= {"LAB_LEDGER": str(folder), "LAB_NODE": "0", "LAB_SLOT": "0"}
    labels |= {"PYTHONHASHSEED": str(number), **given}
    # By a file: an argument of a process has at most 128 KiB.
    name = folder / "rehearsal-name"
    name.write_text(workload, encoding="utf-8")
    argv = [sys.executable, "-m", __name__, str(name), str(told), str(3 - number)]
    with interrupts.deferred():
        process = processes.start(argv, (), labels, folder / "rehearsal.log")
        processes.limit_memory(process, user_function.memory_bytes())
        deadline = time.monotonic() + deadline_s
        try:
            with interrupts.allowed():
                while process.poll() is None and time.monotonic() < deadline:
                    time.sleep(LOOK_S)
            code = process.poll()
        finally:
            processes.kill(processes.tree(process.pid))
            processes.stop(process)
            processes.reap_trial(trial)
    ending = f"did not end in {deadline_s:.0f} s" if code is None else processes.ending(code)
    seen: dict[str, Any] = dict.fromkeys(("trouble", "failure"), f"the call {ending}")
    with contextlib.suppress(OSError, ValueError):
        seen |= json.loads(told.read_text(encoding="utf-8"))
    if "is_coroutine" not in seen:
        seen.setdefault("unknown", f"{workload} cannot be imported: its import {ending}.")
    if "unknown" in seen:
        raise UsageError(seen["unknown"])
    return seen


def main(workload: str, told: Path, n_calls: int) -> None:
    """Rehearse in this process; `told` holds at every moment what was seen so far."""
    seen: dict[str, Any] = {}

    def note(**more: Any) -> None:
        seen.update(more)
        temporary = told.with_suffix(".new")
        temporary.write_text(json.dumps(seen), encoding="utf-8")
        temporary.replace(told)

    _look(workload, n_calls, note)
    os._exit(0)  # whatever threads it has left behind


def _look(workload: str, n_calls: int, note: Note) -> None:
    """Find the function, try who can carry it, and call it; note what was seen on the way."""
    try:
        name, arguments = user_function.parts(workload)
        function = user_function.find(name)
    except UsageError as error:
        note(unknown=str(error))
        return
    except SystemExit as error:
        how = f" with code {error.code}" if isinstance(error.code, int) else _said(error)
        why = f"importing it exits{how}. Workers import it as well: guard what a script does by "
        why += '`if __name__ == "__main__":`'
        note(unknown=f"{workload} cannot be imported from {Path.cwd()}: {why}.")
        return
    except BaseException as error:  # noqa: BLE001 (an import may raise anything)
        why = f"{type(error).__name__}{_said(error)}"
        note(unknown=f"{workload} cannot be imported from {Path.cwd()}: {why}.")
        return
    if not callable(function):
        note(unknown=f"{name} is of type {type(function).__name__}, which cannot be called.")
        return
    refusals = _refusals("function", function) | _refusals("arguments", arguments)
    note(is_coroutine=inspect.iscoroutinefunction(function), refusals=refusals)
    answers = [_call(workload, note) for _ in range(n_calls)]
    note(failure="", trouble="its answer could not be checked in time")
    note(refusals=refusals | _refusals("answer", answers[-1]))
    try:
        sums = {*map(checksum, answers)}
    except Exception as error:  # noqa: BLE001 (an object may do anything as it is pickled)
        note(trouble=f"its answer cannot be pickled: {type(error).__name__}{_said(error)}")
        return
    if len(sums) > 1:
        note(trouble="two calls gave different answers")
        return
    note(answer=sums.pop(), trouble="", check_ns=_check_ns(answers[-1]))


def _check_ns(answer: Any) -> int:
    """Time the check of an answer; that of an integer is a part of every task's record."""
    if type(answer) is int:
        return 0
    took_ns = []
    for _ in range(CHECKS):
        begin = time.perf_counter_ns()
        checksum(answer)
        took_ns.append(time.perf_counter_ns() - begin)
    return min(took_ns)


def _call(workload: str, note: Note) -> Any:
    """Call the function and note how long it took, or how it failed, which is the end."""
    try:
        call = user_function.parts(workload)
        begin = time.perf_counter_ns()
        answer = user_function.run(call)
        if hasattr(answer, "__await__"):
            import asyncio

            begin = time.perf_counter_ns()
            answer = asyncio.run(user_function.awaited(answer))
    except BaseException as error:  # noqa: BLE001 (also SystemExit: how it fails is the finding)
        how = f"the call raised {type(error).__name__}{_said(error)}"
        note(trouble=how, failure=how)
        os._exit(0)
    note(nominal_ns=time.perf_counter_ns() - begin)
    return answer


def _refusals(what: str, thing: Any) -> dict[str, str]:
    """Try each carrier, and return by its name why it cannot carry a thing."""
    found = {}
    for carrier in Carrier:
        # As JSON only a function's name goes, and a task is registered under one of its own.
        if carrier is Carrier.MEMORY or (carrier is Carrier.JSON and what == "function"):
            continue
        with contextlib.suppress(ImportError):  # then no system that uses it is installed
            encode = user_function.find(carrier.value)
            try:
                encode(thing)
            except Exception as error:  # noqa: BLE001 (encoders raise anything: it is the finding)
                way = carrier.name.lower()
                found[carrier.value] = f"its {what} cannot be carried by {way}{_said(error)}"
    return found


def _said(error: BaseException) -> str:
    """Return a colon and the message of what was raised, on one line; nothing without one."""
    try:
        said = " ".join(str(error).split())[:LONGEST_REASON]
    except Exception:  # noqa: BLE001 (its text is the user's code as well)
        return ""
    return f": {said}" if said else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_text(encoding="utf-8"), Path(sys.argv[2]), int(sys.argv[3]))
