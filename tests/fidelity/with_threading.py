"""Threads, by the examples in the docs of `threading` and of `queue`."""

from __future__ import annotations

import queue
import threading
import time

from tests.fidelity import stamps

done: list[int] = []


def noop(number: int) -> int:
    """Stamp and return the argument."""
    done.append(time.monotonic_ns())
    return number


def thread_per_task(tasks: int, workers: int) -> None:
    """Start a thread for each task; a semaphore bounds how many run at once."""
    places = threading.BoundedSemaphore(workers)

    def run(number: int) -> None:
        with places:
            noop(number)

    threads = []
    for number in range(tasks):
        thread = threading.Thread(target=run, args=(number,))
        threads.append(thread)
        thread.start()
    for thread in threads:
        thread.join()


def over_queue(tasks: int, workers: int) -> None:
    """Put tasks into a queue that a few threads take from."""
    jobs: queue.Queue[int] = queue.Queue()

    def work() -> None:
        while True:
            noop(jobs.get())
            jobs.task_done()

    for _ in range(workers):
        threading.Thread(target=work, daemon=True).start()
    for number in range(tasks):
        jobs.put(number)
    jobs.join()


def main() -> None:
    """Run all tasks in the chosen shape."""
    given = stamps.options(__doc__, "thread-per-task", "queue")
    shape = over_queue if given.variant == "queue" else thread_per_task
    shape(given.tasks, given.workers)
    stamps.report(done)


if __name__ == "__main__":
    main()
