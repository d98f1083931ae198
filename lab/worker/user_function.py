"""Names, imports and calls a user's function as a workload.

The workload's name is ``module:function``, followed by its arguments if it has any: a JSON list, a
JSON object of keywords, or ``(module:NAME)`` of a list, a tuple or a mapping. Workers import this
module, so it uses the standard library only.
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

from lab.core.errors import UsageError

PATH = r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*"
NAME = re.compile(rf"(?P<function>{PATH})(?P<arguments>|[\[{{].*|\({PATH}\))", re.DOTALL)

MIB = 2**20
FEWEST_BYTES, MOST_BYTES = 2**30, 8 * 2**30

_functions: dict[str, Callable[..., Any]] = {}
LONGEST_SHOWN = 200


def name_of(function: str, arguments: str) -> str:
    """Return the workload's name for the values of `--task` and `--args`.

    Args:
        function: ``package.module:function``.
        arguments: JSON, or ``package.module:NAME`` of the arguments; empty if there are none.

    Raises:
        UsageError: `function` or `arguments` has another form.
    """
    if not re.fullmatch(PATH, function):
        raise _no_function(function)
    if re.fullmatch(PATH, arguments):
        return f"{function}({arguments})"
    try:
        parsed = json.loads(arguments or "[]")
    except (ValueError, RecursionError) as error:
        why = "too deep" if isinstance(error, RecursionError) else error
        raise UsageError(
            f"--args {_cut(arguments)!r} is neither JSON ({why}) nor package.module:NAME. "
            "Write a list, such as '[1, \"two\"]', or an object of keywords."
        ) from error
    if not isinstance(parsed, list | dict):
        typed = _cut(arguments)
        raise UsageError(f"--args {typed!r} is not a list or an object. Write '[{typed}]'.")
    return function + (json.dumps(parsed) if parsed else "")


def _no_function(name: str) -> UsageError:
    return UsageError(f"{name!r} is not the name of a function. Write package.module:function.")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def is_user_function(workload: str) -> bool:
    """Return whether a workload's name is the name of a user's function."""
    return NAME.fullmatch(workload) is not None


def parts(workload: str) -> tuple[str, Any]:
    """Return the function's name and its arguments, a sequence or a mapping of keywords."""
    match = NAME.fullmatch(workload)
    if match is None:
        raise _no_function(workload)
    text = match["arguments"]
    if text.startswith("("):
        return match["function"], _checked(find_user_function(text[1:-1]), text[1:-1])
    return match["function"], json.loads(text or "[]")


def options_of(workload: str) -> str:
    """Return the command-line options that select a workload: the inverse of `name_of`."""
    match = NAME.fullmatch(workload)
    if match is None:
        raise _no_function(workload)
    text = match["arguments"]
    arguments = ["--args", text.strip("()") if text.startswith("(") else text] if text else []
    return shlex.join(["--task", match["function"], *arguments])


def packages(workload: str) -> set[str]:
    """Return the top-level packages or modules that define the function and its arguments."""
    match = NAME.fullmatch(workload)
    text = match["arguments"] if match else ""
    paths = [workload, *([text[1:]] if text.startswith("(") else [])]
    return {path.partition(":")[0].partition(".")[0] for path in paths}


def _checked(arguments: Any, name: str) -> Any:
    if isinstance(arguments, Mapping) or (
        isinstance(arguments, Sequence) and not isinstance(arguments, str | bytes)
    ):
        return arguments
    kind = type(arguments).__name__
    raise UsageError(f"--args {name} has the type {kind}. It must be a list, tuple or mapping.")


def find_user_function(path: str) -> Any:
    """Import the module of ``module:attribute``, and return the attribute."""
    module, _, attribute = path.partition(":")
    return attrgetter(attribute)(import_module(module))


def run(call: Sequence[Any]) -> Any:
    """Call the function with its arguments: by position from a sequence, by name from a mapping."""
    name, arguments = call
    if (function := _functions.get(name)) is None:
        function = _functions[name] = find_user_function(name)
    process = os.getpid()
    try:
        return function(**arguments) if isinstance(arguments, Mapping) else function(*arguments)
    finally:
        if os.getpid() != process:
            # A forked child that returned from the function would continue as a second worker.
            os._exit(1)


async def run_async(call: Sequence[Any]) -> Any:
    """Call the function in an event loop, and await its answer if it is awaitable."""
    answer = run(call)
    return await answer if hasattr(answer, "__await__") else answer


# The kernel (`lab.worker.execution`) checks no answer of functions with these names.
run_unchecked, run_async_unchecked = run, run_async


async def awaited(answer: Awaitable[Any]) -> Any:
    """Await any awaitable, for `asyncio.run`, which accepts coroutines only."""
    return await answer


def memory_bytes(processes: int = 1) -> int:
    """Return the address space limit, in bytes, of each process that calls a user's function.

    ``LAB_TASK_MEMORY`` sets it in MiB. The default is half of the machine's memory divided by
    `processes`, between 1 GiB and 8 GiB. With a limit, a function that allocates without end fails
    and does not exhaust the machine.

    Raises:
        UsageError: ``LAB_TASK_MEMORY`` is not a whole number.
    """
    if typed := os.environ.get("LAB_TASK_MEMORY"):
        if not typed.isdecimal():
            raise UsageError(f"LAB_TASK_MEMORY={typed!r} is not a whole number of MiB.")
        return int(typed) * MIB
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(FEWEST_BYTES, min(machine // 2 // processes, MOST_BYTES))


def as_workload(name: str) -> ModuleType:
    """Return a module with the attributes of a workload that calls the function `name`.

    It has this module's name, so that workers import `run` from here.
    """
    module = ModuleType(__name__, f"{name} as a workload.")
    vars(module).update(
        SUMMARY=f"Calls {name}.",
        UNIT="",
        DEFAULT_SIZE=0,
        calibrate=lambda size: size,
        nominal_ns=lambda _size: 0,  # the plan uses the time of the call before the run
        argument=lambda _size, _seed: [*parts(name)],
        run=run,
        run_async=run_async,
    )
    return module
