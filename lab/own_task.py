"""A function of the user's own as a workload: how it is named, found and called.

Its name is ``module:function`` and then its arguments, if it has any: a JSON list, a JSON object of
keywords, or ``(module:NAME)`` of a list, a tuple or a mapping that the module holds. Workers run
it from here, so this is standard library only, and little of it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from operator import attrgetter
from types import ModuleType
from typing import Any

from lab.errors import UsageError

PATH = r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*"
NAME = re.compile(rf"(?P<function>{PATH})(?P<arguments>|[\[{{].*|\({PATH}\))", re.DOTALL)

MIB = 2**20
FEWEST_BYTES, MOST_BYTES = 2**30, 8 * 2**30

_functions: dict[str, Callable[..., Any]] = {}
LONGEST_SHOWN = 200


def name_of(function: str, arguments: str) -> str:
    """Return the workload's name for what was typed.

    Args:
        function: ``package.module:function``.
        arguments: JSON, or ``package.module:NAME`` of the arguments; empty: there are none.

    Raises:
        UsageError: They cannot be understood.
    """
    if not re.fullmatch(PATH, function):
        raise UsageError(f"{function!r} names no function. Write package.module:function.")
    if re.fullmatch(PATH, arguments):
        return f"{function}({arguments})"
    try:
        given = json.loads(arguments or "[]")
    except (ValueError, RecursionError) as error:
        why = "too deep" if isinstance(error, RecursionError) else error
        raise UsageError(
            f"--args {_cut(arguments)!r} is neither JSON ({why}) nor package.module:NAME. "
            "Write a list, such as '[1, \"two\"]', or an object of keywords."
        ) from error
    if not isinstance(given, list | dict):
        typed = _cut(arguments)
        raise UsageError(f"--args {typed!r} is no list and no object: write '[{typed}]'.")
    return function + (json.dumps(given) if given else "")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def is_own(workload: str) -> bool:
    """Tell whether a workload's name is that of a function of the user's own."""
    return NAME.fullmatch(workload) is not None


def parts(workload: str) -> tuple[str, Any]:
    """Return the function's name and its arguments, a sequence or a mapping of keywords."""
    match = NAME.fullmatch(workload)
    if match is None:
        raise UsageError(f"{workload!r} names no function. Write package.module:function.")
    text = match["arguments"]
    if text.startswith("("):
        return match["function"], _checked(find(text[1:-1]), text[1:-1])
    return match["function"], json.loads(text or "[]")


def options_of(workload: str) -> str:
    """Return the options of the command line that name a workload: the inverse of `name_of`."""
    match = NAME.fullmatch(workload)
    if match is None:
        raise UsageError(f"{workload!r} names no function. Write package.module:function.")
    text = match["arguments"]
    arguments = ["--args", text.strip("()") if text.startswith("(") else text] if text else []
    return shlex.join(["--task", match["function"], *arguments])


def packages(workload: str) -> set[str]:
    """Return the packages, or modules without one, that hold the function and its arguments."""
    match = NAME.fullmatch(workload)
    text = match["arguments"] if match else ""
    named = [workload, *([text[1:]] if text.startswith("(") else [])]
    return {path.partition(":")[0].partition(".")[0] for path in named}


def _checked(arguments: Any, name: str) -> Any:
    if isinstance(arguments, Mapping) or (
        isinstance(arguments, Sequence) and not isinstance(arguments, str | bytes)
    ):
        return arguments
    kind = type(arguments).__name__
    raise UsageError(f"--args {name} is of type {kind}; a list, a tuple or a mapping is needed.")


def find(path: str) -> Any:
    """Import what ``module:attribute`` names."""
    module, _, attribute = path.partition(":")
    return attrgetter(attribute)(import_module(module))


def run(call: Sequence[Any]) -> Any:
    """Call the function with its arguments: by position from a sequence, by name from a mapping."""
    name, arguments = call
    if (function := _functions.get(name)) is None:
        function = _functions[name] = find(name)
    process = os.getpid()
    try:
        return function(**arguments) if isinstance(arguments, Mapping) else function(*arguments)
    finally:
        if os.getpid() != process:
            # A child that it forked came back: it would go on as a second worker, or submitter.
            os._exit(1)


async def run_async(call: Sequence[Any]) -> Any:
    """Do the same in an event loop, and await the answer where it can be."""
    answer = run(call)
    return await answer if hasattr(answer, "__await__") else answer


# The same functions under the names of which the kernel does not check the answer.
run_unchecked, run_async_unchecked = run, run_async


async def awaited(answer: Awaitable[Any]) -> Any:
    """Await what a coroutine function returned, for `asyncio.run`, which takes coroutines alone."""
    return await answer


def memory_bytes(processes: int = 1) -> int:
    """Return how much address space each process of a trial may have that calls such a function.

    ``LAB_TASK_MEMORY`` says it in MiB; else all `processes` together may have half of this
    machine's memory, and each 8 GiB at most and 1 GiB at least: a function that allocates without
    end fails, and neither machine nor lab do.
    """
    if typed := os.environ.get("LAB_TASK_MEMORY"):
        if not typed.isdecimal():
            raise UsageError(f"LAB_TASK_MEMORY={typed!r} is no whole number of MiB.")
        return int(typed) * MIB
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(FEWEST_BYTES, min(machine // 2 // processes, MOST_BYTES))


def as_workload(name: str) -> ModuleType:
    """Return what the registry takes for a workload's module; tasks name this one's functions."""
    made = ModuleType(__name__, f"{name} as a workload.")
    vars(made).update(
        SUMMARY=f"Calls {name}.",
        UNIT="",
        DEFAULT_SIZE=0,
        calibrate=lambda size: size,
        nominal_ns=lambda _size: 0,  # what a rehearsal found stands in its place
        argument=lambda _size, _seed: [*parts(name)],
        run=run,
        run_async=run_async,
    )
    return made
