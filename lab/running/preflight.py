"""Calls a user's function before a run: ``python -m lab.running.preflight NAME NOTES N``.

The calls run in a separate process with a deadline and a memory limit, because the function may do
anything. They yield its right answer and its nominal duration. The same process tries each
serializer that backends use for tasks on the function, its arguments and its answer.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.core.errors import UsageError
from lab.core.model import Serializer
from lab.core.placement import available_cpus
from lab.core.preflight import FUNCTION, PreflightResult
from lab.host import child_environment, interrupts, processes
from lab.recording import cpu_users, host_counters
from lab.running import call_time
from lab.worker import user_function
from lab.worker.execution import checksum

DEADLINE_S = 20.0
LOOK_S = 0.01
LONGEST_REASON = 200
# The longest check of an answer in the window: the time of a few records, whose effect on the rate
# of a burst the uninstrumented burst shows, or this share of the call. Longer checks are made in
# the warm-up only.
CHEAP_CHECK_NS, MOST_OF_A_CALL = 20_000, 0.01
# The fastest of these checks counts: the first one also imports modules.
CHECKS = 3

Note = Callable[..., None]


def run_preflight(
    workload: str, folder: Path, deadline_s: float = DEADLINE_S, pass_env: Sequence[str] = ()
) -> PreflightResult:
    """Call a user's function in two processes, and return the results.

    Twice in the first and once in the second, whose hash seed differs, so that sets of strings have
    another order. If all answers are equal, every worker must give this answer. The first process
    calls it more often if its duration is not certain yet (`call_time`).

    Args:
        workload: Name of the function with its arguments, from `user_function.name_of`.
        folder: Folder for the output of the function.
        deadline_s: Seconds that the import and the calls may take, in each process.
        pass_env: Names of the user's environment variables that the function gets.

    Raises:
        UsageError: The function or its arguments do not exist or cannot be imported.
    """
    environment = {**child_environment.passed(pass_env), **child_environment.with_users_code()}
    before, used_s = host_counters.read_host(), call_time.used_s()
    notes = _call_in_process(workload, folder, 1, deadline_s, environment)
    calls, check_ns = notes["calls"], notes.get("check_ns", 0)
    if "answer" in notes:
        second = _call_in_process(workload, folder, 2, deadline_s, environment)
        calls += second["calls"]
        if second.get("answer") != notes["answer"]:
            unchecked = second["unchecked"] or "two processes gave different answers"
            notes |= {"answer": None, "unchecked": unchecked, "failure": second["failure"]}
    after, used_s = host_counters.read_host(), call_time.used_s() - used_s
    other_cpu, _ = cpu_users.shares(before, after, used_s, available_cpus())
    duration = call_time.duration_of([call_time.Call(*call) for call in calls], other_cpu)
    if not notes["unchecked"] and check_ns > max(CHEAP_CHECK_NS, MOST_OF_A_CALL * duration.ns):
        cost = f"a check takes {check_ns / 1e6:.3g} ms, a call {duration.ns / 1e6:.3g} ms"
        notes |= {"unchecked": cost}
    return PreflightResult(
        nominal_ns=duration.ns,
        n_calls=duration.n_calls,
        waited=duration.waited,
        uncertainty=duration.uncertainty,
        answer=notes.get("answer"),
        is_coroutine=notes.get("is_coroutine", False),
        unchecked=notes["unchecked"],
        refusals=tuple(tuple(refusal) for refusal in notes.get("refusals", ())),
        check_ns=0 if notes["unchecked"] else check_ns,
        failure=notes["failure"],
    )


def _call_in_process(
    workload: str, folder: Path, number: int, deadline_s: float, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Run process `number` of the preflight until it ends or the deadline, and return its notes."""
    notes_file = folder / f"preflight-{number}.json"
    trial = f"preflight-{os.getpid()}"
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: trial}
    # The function may write to the folder in which tasks have the ledger.
    labels |= {"LAB_LEDGER": str(folder), "LAB_NODE": "0", "LAB_SLOT": "0"}
    labels |= {"PYTHONHASHSEED": str(number), **environment}
    # In a file, because an argument of a process has at most 128 KiB.
    name = folder / "preflight-name"
    name.write_text(workload, encoding="utf-8")
    argv = [sys.executable, "-m", __name__, str(name), str(notes_file), str(3 - number)]
    with interrupts.deferred():
        process = processes.start(argv, (), labels, folder / "preflight.log")
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
    notes: dict[str, Any] = dict.fromkeys(("unchecked", "failure"), f"the call {ending}")
    notes |= {"calls": []}
    with contextlib.suppress(OSError, ValueError):
        notes |= json.loads(notes_file.read_text(encoding="utf-8"))
    if "is_coroutine" not in notes:
        notes.setdefault("unknown", f"{workload} cannot be imported: its import {ending}.")
    if "unknown" in notes:
        raise UsageError(notes["unknown"])
    return notes


def main(workload: str, notes_file: Path, n_calls: int) -> None:
    """Call the function in this process, and write each result to `notes_file` at once."""
    notes: dict[str, Any] = {}

    def note(**more: Any) -> None:
        notes.update(more)
        temporary = notes_file.with_suffix(".new")
        temporary.write_text(json.dumps(notes), encoding="utf-8")
        temporary.replace(notes_file)

    _call_and_note(workload, n_calls, note)
    os._exit(0)  # does not wait for threads of the function


def _call_and_note(workload: str, n_calls: int, note: Note) -> None:
    """Import the function, try the serializers, call it, and note each result."""
    try:
        name, arguments = user_function.parts(workload)
        function = user_function.find_user_function(name)
    except UsageError as error:
        note(unknown=str(error))
        return
    except SystemExit as error:
        how = f" with code {error.code}" if isinstance(error.code, int) else _message(error)
        why = f"its import exits{how}. Workers import it as well: put the code of a script below "
        why += '`if __name__ == "__main__":`'
        note(unknown=f"{workload} cannot be imported from {Path.cwd()}: {why}.")
        return
    except BaseException as error:  # noqa: BLE001 (an import may raise anything)
        why = f"{type(error).__name__}{_message(error)}"
        note(unknown=f"{workload} cannot be imported from {Path.cwd()}: {why}.")
        return
    if not callable(function):
        note(unknown=f"{name} has the type {type(function).__name__}, which cannot be called.")
        return
    refusals = [*_refusals(FUNCTION, function), *_refusals("arguments", arguments)]
    note(is_coroutine=inspect.iscoroutinefunction(function), refusals=refusals)
    calls: list[call_time.Call] = []
    answers = []
    for _ in range(n_calls):
        answer, call = _call(workload, note)
        answers.append(answer)
        calls.append(call)
        note(calls=calls)  # before the next call, which may hang
    note(failure="", unchecked="its answer could not be checked in time")
    note(refusals=[*refusals, *_refusals("answer", answers[-1])])
    _note_answer(answers, note)
    if n_calls > 1:
        note(calls=call_time.settle(calls, lambda: _call(workload, note)[1]))


def _note_answer(answers: Sequence[Any], note: Note) -> None:
    """Compare the answers, and note the right one or why there is none."""
    try:
        sums = {*map(checksum, answers)}
    except Exception as error:  # noqa: BLE001 (pickling calls code of the object)
        note(unchecked=f"its answer cannot be pickled: {type(error).__name__}{_message(error)}")
        return
    if len(sums) > 1:
        note(unchecked="two calls gave different answers")
        return
    note(answer=sums.pop(), unchecked="", check_ns=_check_ns(answers[-1]))


def _check_ns(answer: Any) -> int:
    """Return the time to check an answer; 0 for an integer, which every task's record includes."""
    if type(answer) is int:
        return 0
    took_ns = []
    for _ in range(CHECKS):
        begin = time.perf_counter_ns()
        checksum(answer)
        took_ns.append(time.perf_counter_ns() - begin)
    return min(took_ns)


def _call(workload: str, note: Note) -> tuple[Any, call_time.Call]:
    """Call the function, and return its answer; if it fails, note the failure and exit."""
    try:
        call = user_function.parts(workload)
        watch = call_time.Stopwatch()
        answer = user_function.run(call)
        if hasattr(answer, "__await__"):
            import asyncio

            watch = call_time.Stopwatch()
            answer = asyncio.run(user_function.awaited(answer))
        return answer, watch.stop()
    except BaseException as error:  # noqa: BLE001 (every failure is noted, also SystemExit)
        how = f"the call raised {type(error).__name__}{_message(error)}"
        note(unchecked=how, failure=how)
        os._exit(0)


def _refusals(part: str, value: Any) -> Iterator[tuple[str, str, str]]:
    """Try each serializer on a value, and yield the refusals of `PreflightResult`."""
    for serializer in Serializer:
        # A system that sends JSON sends the name of a function, not the function.
        is_name = part == FUNCTION and serializer in (Serializer.JSON, Serializer.PLAIN_JSON)
        if serializer is Serializer.MEMORY or is_name:
            continue
        with contextlib.suppress(ImportError):  # no backend that uses it is installed
            encode = user_function.find_user_function(serializer.value)
            try:
                encode(value)
            except Exception as error:  # noqa: BLE001 (encoders raise errors of any type)
                name = serializer.name.lower().replace("_", " ")
                reason = f"{name} cannot serialize its {part}{_message(error)}"
                yield serializer.value, part, reason


def _message(error: BaseException) -> str:
    """Return a colon and the message of an exception on one line; empty if it has none."""
    try:
        message = " ".join(str(error).split())[:LONGEST_REASON]
    except Exception:  # noqa: BLE001 (`__str__` may be the user's code)
        return ""
    return f": {message}" if message else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_text(encoding="utf-8"), Path(sys.argv[2]), int(sys.argv[3]))
