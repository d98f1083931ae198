"""The only code of ours that runs inside a worker.

`execute` stamps the first and the last statement of a task and writes both to the ledger.
Standard library only, and little of it: a system that starts a process for each task pays this
import each time.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from time import monotonic_ns
from typing import Any

from lab.worker.ledger import (
    CANCELLED,
    NO_ANSWER,
    NO_RECORD,
    RAISED,
    begin,
    finish,
    finish_badly,
    note_error,
)

# A function whose name ends so has answers that are not checked: see `lab.worker.user_function`.
UNCHECKED = "_unchecked"
# Every task that is a coroutine function is of this name.
COROUTINE = ":run_async"
# Of an integer so many are its checksum, so that none is negative.
BITS = 0x7FFF_FFFF_FFFF_FFFF
_SIMPLE = (float, bool, type(None))

_functions: dict[str, Callable[[Any], Any]] = {}


def execute(task_id: int, function: str, argument: Any, attempt: int = 0) -> Any:
    """Run one task between two ledger stamps, or without record, and return its answer.

    Args:
        task_id: The task's number in its trial.
        function: ``"module:attribute"`` of a function of one argument.
        argument: What the function is given.
        attempt: How often the system says it tried before, where it says so.

    Raises:
        BaseException: Whatever the task raised, after the ledger has it.
    """
    if task_id >= NO_RECORD:
        try:
            return (_functions.get(function) or _resolve(function))(argument)
        except BaseException as error:
            note_error(task_id, error)
            raise
    words, row = begin(task_id, attempt, monotonic_ns())
    try:
        answer = (_functions.get(function) or _resolve(function))(argument)
    except BaseException as error:
        finished = monotonic_ns()
        note_error(task_id, error)
        finish_badly(words, row, finished, RAISED)
        raise
    finished = monotonic_ns()  # before the checksum, which is our cost and not the task's
    word = answer & BITS if type(answer) is int else _word(answer, function)
    finish(words, row, finished, word)
    return answer


async def execute_async(task_id: int, function: str, argument: Any, attempt: int = 0) -> Any:
    """Await one coroutine task between two ledger stamps and return its answer."""
    if task_id >= NO_RECORD:
        try:
            return await (_functions.get(function) or _resolve(function))(argument)
        except BaseException as error:
            note_error(task_id, error)
            raise
    words, row = begin(task_id, attempt, monotonic_ns())
    try:
        answer = await (_functions.get(function) or _resolve(function))(argument)
    except BaseException as error:
        finished = monotonic_ns()
        cancelled = type(error).__name__ == "CancelledError"  # asyncio is not imported here
        if not cancelled:
            note_error(task_id, error)
        finish_badly(words, row, finished, CANCELLED if cancelled else RAISED)
        raise
    finished = monotonic_ns()
    word = answer & BITS if type(answer) is int else _word(answer, function)
    finish(words, row, finished, word)
    return answer


def entry(function: str) -> Callable[..., Any]:
    """Return what runs a task in a system that calls functions and awaits coroutine functions."""
    return execute_async if COROUTINE in function else execute


def execute_after(_before: Any, task_id: int, function: str, argument: Any) -> Any:
    """Run one task of a chain that hands on answers; of the one before it wants only that it is."""
    return execute(task_id, function, argument)


async def execute_after_async(_before: Any, task_id: int, function: str, argument: Any) -> Any:
    """Await one coroutine task of such a chain."""
    return await execute_async(task_id, function, argument)


def joined(*_answers: Any) -> None:
    """Be the step that a system runs once all tasks of a group have ended."""


def stamp(task_id: int) -> None:
    """Record a task as started and finished without running anything (the `null` backend)."""
    if task_id >= NO_RECORD:
        return
    words, row = begin(task_id, 0, monotonic_ns())
    finish(words, row, monotonic_ns(), 0)


def checksum(answer: Any) -> int:
    """Map an answer to 63 bits: integers by their low bits, everything else by CRC-32.

    Raises:
        Exception: The answer cannot be written down: see `lab.worker.canonical`.
    """
    kind = type(answer)
    if kind is int:
        return int(answer & BITS)
    if kind is bytes:
        return zlib.crc32(answer)
    if kind is str:  # another start value than that of bytes: b"a" is not "a"
        return zlib.crc32(answer.encode("utf-8", "surrogatepass"), 1)
    if kind in _SIMPLE:
        return zlib.crc32(repr(answer).encode(), 2)
    from lab.worker.canonical import (
        digest,  # most tasks do without it, and forks would pay its import
    )

    return digest(answer)


def _word(answer: Any, function: str) -> int:
    """Return what the ledger records of an answer that is no integer.

    Where it cannot be pickled, that is no failure of the task.
    """
    if function.endswith(UNCHECKED):
        return NO_ANSWER
    try:
        return checksum(answer)
    except Exception:  # noqa: BLE001 (an object may do anything as it is pickled)
        return NO_ANSWER


def _resolve(function: str) -> Callable[[Any], Any]:
    module, _, attribute = function.partition(":")
    resolved: Callable[[Any], Any] = getattr(import_module(module), attribute)
    _functions[function] = resolved
    return resolved
