"""Tasks that are faults: they end or exceed the process that executes them.

Standard library only: workers import this module.
"""

from __future__ import annotations

import os
import signal
from typing import Any

# More than a worker of any system uses, and less than any machine has.
LIMIT_BYTES, STEP_BYTES = 1 << 30, 16 << 20


def poison(_argument: Any) -> None:
    """Kill the process that executes this task."""
    os.kill(os.getpid(), signal.SIGKILL)


def exceed_memory(_argument: Any) -> None:
    """Use more memory than this process may have, and keep it.

    The limit is that of its container, if there is one: then the kernel kills a process of the
    container. Otherwise it is `LIMIT_BYTES` of address space above the current use.

    Raises:
        MemoryError: The process reached the limit of its address space.
    """
    import resource  # no other task needs it

    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (no pathlib in workers)
        used = int(file.read().split()[0]) * resource.getpagesize()
    limit = used + LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        parts = []
        while True:
            parts.append(b"x" * STEP_BYTES)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


async def run_async_poison(argument: Any) -> None:
    """Kill the process that awaits this task."""
    poison(argument)


async def run_async_exceed_memory(argument: Any) -> None:
    """Use more memory than this process may have; see `exceed_memory`."""
    exceed_memory(argument)
