"""Django-RQ with its own worker commands, by command."""

from __future__ import annotations

import os
import sys

from tests.fidelity import stamps

NAME = "tests.fidelity.with_django_rq"
ADDRESS = "FIDELITY_REDIS"
# This file is the project's settings module as well.
INSTALLED_APPS = ["django_rq"]
RQ_QUEUES = {"default": {"URL": os.environ.get(ADDRESS)}}
SECRET_KEY = "none"  # noqa: S105


def main() -> None:
    """Start one worker process a slot, or a pool, warm up, enqueue all tasks and wait for them."""
    given = stamps.options(__doc__, "worker", "worker-pool")
    os.environ.update({"DJANGO_SETTINGS_MODULE": NAME, ADDRESS: given.redis})
    manage = [sys.executable, "-m", "django"]
    commands = [[*manage, "rqworker", "default"]] * given.workers
    if given.variant == "worker-pool":
        pool = ["rqworker-pool", "default", "--num-workers", str(given.workers)]
        commands = [[*manage, *pool]]
    import django

    django.setup()
    import django_rq

    queue = django_rq.get_queue()
    with stamps.file(), stamps.workers(commands, given.worker_cpus):
        for tasks in (20 * given.workers, given.tasks):
            for number in range(tasks):
                # Not of this file: a project's tasks are no part of its settings, which the
                # worker has imported, and its forked work-horses have not.
                queue.enqueue("tests.fidelity.with_rq.noop", number)
            instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
