"""Runs batches with joblib's `Parallel`: loky, threads or multiprocessing, with its batching."""

from __future__ import annotations

import contextlib
import inspect
import multiprocessing
from collections.abc import Mapping, Sequence
from typing import Any

from lab.core.backend import DEFAULT, Backend
from lab.core.model import Capability, Profile, Serializer, Task, Variant
from lab.worker import execution

LOKY, PICKLER = "loky", "loky_pickler"
SERIALIZERS = {
    LOKY: Serializer.CLOUDPICKLE,
    "threading": Serializer.MEMORY,
    "multiprocessing": Serializer.PICKLE,
}
# Parameters without effect on the execution of tasks.
OMITTED = ("backend_kwargs", "verbose")
AUTOMATIC, SINGLE = "batches grow until one takes 0.2 s", "each task dispatched separately"


def _variant(name: str, summary: str, reference: str, **settings: Any) -> Variant:
    capabilities = frozenset({Capability.BATCH, Capability.PARALLEL, Capability.GROUP})
    backend = name.partition("+")[0]
    text = f"Parallel(backend={backend!r}), {summary} (joblib docs, Parallel, batch_size)."
    settings = {"backend": backend, **settings}
    serializer, references = SERIALIZERS[backend], (reference,)
    return Variant(name, capabilities, text, settings, serializer=serializer, references=references)


class Joblib(Backend):
    """Runs each batch with one call of one `Parallel`, whose workers are reused between calls.

    The call returns when all tasks have ended, or raises the exception of the first failed task
    and drops the others. joblib accepts no single tasks. With one worker, it calls the functions in
    the caller's thread and starts no pool. A killed worker fails the call; the documentation has no
    recipe to rerun its tasks.
    """

    family = "joblib"
    summary = "joblib.Parallel"
    packages = ("joblib",)
    extra = "joblib"
    variants = (
        _variant(LOKY, AUTOMATIC, "pipe[shares]"),
        _variant(f"{LOKY}+batch-1", SINGLE, "pipe", batch_size=1),
        # For threads, the batch size 'auto' is 1.
        _variant("threading", SINGLE, "queue[simple-queue]"),
        _variant("multiprocessing", AUTOMATIC, "pipe[shares]"),
        _variant("multiprocessing+batch-1", SINGLE, "pipe", batch_size=1),
    )
    profiles = (
        DEFAULT,
        Profile(
            "tuned",
            {PICKLER: "pickle"},
            "loky_pickler: cloudpickle, which loky uses to serialise functions of __main__, can be "
            "much slower than pickle, which is sufficient for importable functions (joblib docs, "
            "Parallel, Serialization & Processes).",
            variants=(LOKY, f"{LOKY}+batch-1"),
        ),
    )

    def start(self) -> None:
        """Enter the context that keeps a pool of workers (joblib docs, Reusing a pool)."""
        from joblib import Parallel
        from joblib.externals.loky import set_loky_pickler

        self._context = contextlib.ExitStack()
        settings = dict(self.setup.settings)
        # As in the example of the documentation (Serialization & Processes).
        set_loky_pickler(settings.pop(PICKLER, None))
        # Registered first, so that it runs after the exit of `Parallel`. With one worker there is
        # no executor, and `get_reusable_executor` would start one only to stop it.
        if settings["backend"] == LOKY and self.workers > 1:
            self._context.callback(_stop_loky)
        parallel = Parallel(n_jobs=self.workers, **settings)
        self._parallel = self._context.enter_context(parallel)

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Run the batch and return when all tasks have ended."""
        from joblib import delayed

        self._parallel(delayed(execution.execute)(*task.arguments) for task in tasks)

    def submit_group(self, tasks: Sequence[Task]) -> None:
        """Run the group as a batch: the call returns when all tasks have ended."""
        self.submit_all(tasks)

    def stop(self) -> None:
        """Leave the context, and stop loky's processes, which would stay for five minutes."""
        self._context.close()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return the defaults of `Parallel`, overridden by the settings of variant and profile.

        Pools of `multiprocessing` have the interpreter's default start method; loky has its own.
        """
        from joblib import Parallel

        parameters = inspect.signature(Parallel).parameters
        # Some defaults are objects of joblib; their text is, for example, default(None).
        defaults = {
            name: p.default if isinstance(p.default, str | None) else str(p.default)
            for name, p in parameters.items()
            if name not in OMITTED
        }
        fixed = {PICKLER: "cloudpickle", "n_jobs": self.workers}
        if self.setup.settings["backend"] == "multiprocessing":
            fixed["start_method"] = multiprocessing.get_start_method()
        return {**defaults, **fixed, **self.setup.settings}


def _stop_loky() -> None:
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)
