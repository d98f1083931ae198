"""Imports what jobs need, then runs MODULE: ``python -m lab.backends._rq.preloading MODULE``.

It is the worker script that RQ's docs advise (Workers, Performance Notes), for every command: what
is imported before the fork, no work-horse has to import again.
"""

from __future__ import annotations

import importlib
import pkgutil
import runpy
import sys

import workloads
from lab.worker import execution


def main() -> None:
    """Import the kernel's and every task's module, and go on as ``python -m MODULE`` would."""
    tasks = (
        f"{workloads.__name__}.{found.name}" for found in pkgutil.iter_modules(workloads.__path__)
    )
    for module in (execution.__name__, *tasks):
        importlib.import_module(module)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
