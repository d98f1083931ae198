"""Executes a task in a worker and records its start and end in the ledger.

This module and `lab.worker.ledger` are the lab's only code in a worker. Standard library only, with
few imports: a backend that starts a process for each task imports them each time.
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
    finish_failed,
    note_error,
)

# The suffix of a function whose answers are not checked: see `lab.worker.user_function`.
UNCHECKED = "_unchecked"
# Part of the name of every coroutine function.
COROUTINE = ":run_async"
# The checksum of an integer is its low 63 bits, so that no checksum is negative.
BITS = 0x7FFF_FFFF_FFFF_FFFF
_SIMPLE = (float, bool, type(None))

_functions: dict[str, Callable[[Any], Any]] = {}


def execute(task_id: int, function: str, argument: Any, attempt: int = 0) -> Any:
    """Run one task, record it in the ledger unless its number excludes that, return its answer.

    Args:
        task_id: The task's number in its trial; from `NO_RECORD` on, it is not recorded.
        function: ``"module:attribute"`` of a function of one argument.
        argument: The argument of the function.
        attempt: The number of earlier attempts, if the backend reports it.

    Raises:
        BaseException: The exception of the task, after it was recorded.
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
        _fail(task_id, words, row, error)
        raise
    finished = monotonic_ns()  # before the checksum, which is not part of the task
    word = answer & BITS if type(answer) is int else _word(answer, function)
    finish(words, row, finished, word)
    return answer


async def execute_async(task_id: int, function: str, argument: Any, attempt: int = 0) -> Any:
    """Await one coroutine task as `execute` runs a function, and return its answer."""
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
        _fail(task_id, words, row, error)
        raise
    finished = monotonic_ns()
    word = answer & BITS if type(answer) is int else _word(answer, function)
    finish(words, row, finished, word)
    return answer


def entry(function: str) -> Callable[..., Any]:
    """Return the entry point for a backend that calls functions and awaits coroutine functions."""
    return execute_async if COROUTINE in function else execute


def execute_after(_before: Any, task_id: int, function: str, argument: Any) -> Any:
    """Run one task of a chain that passes answers on; the answer of the task before is not used."""
    return execute(task_id, function, argument)


async def execute_after_async(_before: Any, task_id: int, function: str, argument: Any) -> Any:
    """Await one coroutine task of a chain that passes answers on."""
    return await execute_async(task_id, function, argument)


def noop_join(*_answers: Any) -> None:
    """Do nothing: the join that a backend runs after all tasks of a group have ended."""


def stamp(task_id: int) -> None:
    """Record a task as started and finished without running anything (the `null` backend)."""
    if task_id >= NO_RECORD:
        return
    words, row = begin(task_id, 0, monotonic_ns())
    finish(words, row, monotonic_ns(), 0)


def checksum(answer: Any) -> int:
    """Map an answer to 63 bits: integers by their low bits, everything else by CRC-32.

    Raises:
        Exception: The answer cannot be serialized: see `lab.worker.canonical`.
    """
    kind = type(answer)
    if kind is int:
        return int(answer & BITS)
    if kind is bytes:
        return zlib.crc32(answer)
    if kind is str:  # the start value differs from that of bytes: b"a" is not "a"
        return zlib.crc32(answer.encode("utf-8", "surrogatepass"), 1)
    if kind in _SIMPLE:
        return zlib.crc32(repr(answer).encode(), 2)
    from lab.worker.canonical import (
        digest,  # few tasks need it, and every fork would import it
    )

    return digest(answer)


def _fail(task_id: int, words: memoryview, row: int, error: BaseException) -> None:
    """Record that a task raised, or that it was cancelled by a signal or by its event loop."""
    finished = monotonic_ns()
    if type(error).__name__ != "CancelledError":  # asyncio is not imported here
        note_error(task_id, error)
    # KeyboardInterrupt, SystemExit and CancelledError are no `Exception`: they interrupt a task.
    finish_failed(words, row, finished, RAISED if isinstance(error, Exception) else CANCELLED)


def _word(answer: Any, function: str) -> int:
    """Return the word that the ledger records for an answer that is not an integer.

    An answer that cannot be pickled is recorded as not checked; the task has not failed.
    """
    if function.endswith(UNCHECKED):
        return NO_ANSWER
    try:
        return checksum(answer)
    except Exception:  # noqa: BLE001 (an object may raise anything while it is pickled)
        return NO_ANSWER


def _resolve(function: str) -> Callable[[Any], Any]:
    module, _, attribute = function.partition(":")
    resolved: Callable[[Any], Any] = getattr(import_module(module), attribute)
    _functions[function] = resolved
    return resolved
