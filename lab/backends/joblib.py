"""joblib's `Parallel` by loky, threads or multiprocessing, with automatic batches and without."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from lab import kernel
from lab.backend import Backend
from lab.model import Capability, Task, Variant

LOKY = "loky"
# They tell what is seen of a call and not how it is done.
UNSEEN = ("backend_kwargs", "verbose")


def _variants() -> tuple[Variant, ...]:
    capabilities = frozenset({Capability.BATCH, Capability.PARALLEL})
    source = "(joblib docs, Embarrassingly parallel for loops; joblib.Parallel, batch_size)."
    made = []
    settings: dict[str, Any]
    for name in (LOKY, "threading", "multiprocessing"):
        about, settings = f"Parallel(backend={name!r})", {"backend": name}
        automatic = f"{about}, batches grow until one takes 0.2 s {source}"
        made.append(Variant(name, capabilities, automatic, settings))
        single = f"{about}, each task dispatched by itself {source}"
        settings = {**settings, "batch_size": 1}
        made.append(Variant(f"{name}+batch-1", capabilities, single, settings))
    return tuple(made)


class Joblib(Backend):
    """Runs each batch by one call of one `Parallel`, whose workers stay from call to call.

    The call returns when all tasks have ended, and raises what the first of them raised; the
    others are then dropped. joblib takes no single tasks. With one worker it makes none: it calls
    the functions in the caller's thread, so that row is no pool.
    """

    family = "joblib"
    summary = "joblib.Parallel"
    packages = ("joblib",)
    extra = "joblib"
    variants = _variants()

    def start(self) -> None:
        """Enter the context that keeps a pool of workers (joblib docs, Reusing a pool)."""
        from joblib import Parallel

        self._context = contextlib.ExitStack()
        if self.setup.settings["backend"] == LOKY and self.workers > 1:
            self._context.callback(_stop_loky)
        parallel = Parallel(n_jobs=self.workers, **self.setup.settings)
        self._parallel = self._context.enter_context(parallel)

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Run the batch and return when all of it has ended."""
        from joblib import delayed

        self._parallel(delayed(kernel.execute)(t.id, t.function, t.argument) for t in tasks)

    def stop(self) -> None:
        """Leave the context; loky's processes would stay five minutes for whoever comes next."""
        self._context.close()

    def effective_settings(self) -> Mapping[str, Any]:
        """Return `Parallel`'s own defaults, overridden by those of variant and profile."""
        from joblib import Parallel

        parameters = inspect.signature(Parallel).parameters
        # Some defaults are objects that only print as their value.
        defaults = {
            name: p.default if isinstance(p.default, str | None) else str(p.default)
            for name, p in parameters.items()
            if name not in UNSEEN
        }
        return {**defaults, **self.setup.settings, "n_jobs": self.workers}


def _stop_loky() -> None:
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)
