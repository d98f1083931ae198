"""Runs tasks with `concurrent.futures.ProcessPoolExecutor`, with each start method."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from lab.backends._futures import ExecutorBackend
from lab.core.backend import DEFAULT
from lab.core.model import Capability, Profile, Task, Variant

SINGLE = frozenset({Capability.SUBMIT, Capability.RESULT, Capability.PARALLEL, Capability.GROUP})
BATCHES = frozenset({Capability.BATCH, Capability.PARALLEL})
# The default of this interpreter is the first, as documented: fork on Linux until Python 3.13,
# forkserver from 3.14, spawn on macOS and Windows.
METHODS = multiprocessing.get_all_start_methods()
MAPPED = tuple(f"{method}+map" for method in METHODS)


def _single(method: str) -> Variant:
    summary = f"Start method {method!r} (docs of multiprocessing, Contexts and start methods)."
    return Variant(method, SINGLE, summary, {"mp_context": method})


def _mapped(method: str) -> Variant:
    return Variant(
        f"{method}+map",
        BATCHES,
        f"Executor.map, one task per chunk, start method {method!r} (docs of concurrent.futures, "
        "Executor.map).",
        {"mp_context": method, "chunks_per_worker": None},
        references=("pipe[shares]",),
    )


class ProcessPool(ExecutorBackend):
    """Submits each task to one executor of `workers` processes, or maps over batches.

    With `fork`, all processes start with the first task; with the other methods, a process starts
    only if a task arrives while none is idle. One dead process fails every unfinished future. A
    batch waits for the end of `map`, which raises the exception of the first failed task and
    cancels the tasks that have not started.
    """

    family = "processes"
    references = ("pipe",)
    summary = "concurrent.futures.ProcessPoolExecutor"
    # The same names in every interpreter: that of the driver may have another default.
    variants = (*map(_single, METHODS), *map(_mapped, METHODS))
    profiles = (
        DEFAULT,
        Profile(
            "tuned",
            {"chunks_per_worker": 4},
            "chunks_per_worker: for very long iterables, a large chunksize can be much faster than "
            "the default of 1 (docs of concurrent.futures, Executor.map). The docs give no number; "
            "this profile uses tasks / (4 * workers), rounded up, the default of Pool.map.",
            variants=MAPPED,
        ),
    )

    def start(self) -> None:
        """Create the executor; its processes start with the first tasks."""
        self._context = multiprocessing.get_context(self.setup.settings["mp_context"])
        self._pool = ProcessPoolExecutor(max_workers=self.workers, mp_context=self._context)

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Map over the batch and return when all tasks have ended."""
        # Without the setting, the chunksize is 1, the default of `map`.
        chunks = self.workers * (self.setup.settings["chunks_per_worker"] or len(tasks))
        # The iterator is exhausted, because only it raises the exception of a failed task.
        deque(self.map(tasks, chunksize=-(-len(tasks) // chunks)), maxlen=0)

    def effective_settings(self) -> Mapping[str, Any]:
        """Return all settings of the executor, and the default start method of the interpreter.

        It reuses its processes without a limit.
        """
        return {
            "max_workers": self.workers,
            "max_tasks_per_child": None,
            **self.setup.settings,
            "mp_context": self._context.get_start_method(),
            "default_start_method": METHODS[0],
        }
