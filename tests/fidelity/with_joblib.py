"""joblib's `Parallel` by backend, with automatic batches and without."""

from __future__ import annotations

from joblib import Parallel, delayed

from tests.fidelity import stamps

VARIANTS = ("loky", "loky+batch-1", "threading", "multiprocessing", "multiprocessing+batch-1")


def main() -> None:
    """Warm the workers up, run all tasks and wait for them."""
    given = stamps.options(__doc__, *VARIANTS)
    backend, _, single = given.variant.partition("+")
    size = 1 if single else "auto"
    with stamps.file(), Parallel(given.workers, backend, batch_size=size) as parallel:
        for tasks in (20 * given.workers, given.tasks):
            parallel(delayed(stamps.noop)(number) for number in range(tasks))
            instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
