"""Imports the jobs' modules, then runs a command: ``python -m lab.backends._rq.preloading MODULE``.

RQ's docs recommend such a worker script (Workers, Performance Notes): a work-horse does not import
again the modules that were imported before the fork.
"""

from __future__ import annotations

import importlib
import pkgutil
import runpy
import sys

import workloads
from lab.worker import execution


def main() -> None:
    """Import the execution module and all workloads, then behave like ``python -m MODULE``."""
    tasks = (
        f"{workloads.__name__}.{module.name}" for module in pkgutil.iter_modules(workloads.__path__)
    )
    # All of them, because the setup of a worker does not name the workload of the trial.
    for module in (execution.__name__, *tasks):
        importlib.import_module(module)
    del sys.argv[0]
    # `alter_sys`, so that sys.argv[0] and sys.modules show the command, as with `python -m`.
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
