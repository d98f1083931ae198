"""Lists what the first page of each further system's documentation claims, each with its source.

The sentences are quoted as published; the source follows in parentheses: a file of the system's
repository, at the release that the lab pins where the package contains it.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.claims.claim import Claim, Mark, PublishedBackend

YES, NO = Mark.YES, Mark.NO
THIRD = "3rd-Party"
NO_FIGURE = "it names no figure and no other system; `lab bench -b {} --preset standard` measures"
NO_COROUTINE = (
    "the tasks of `lab claims` are functions; `lab bench -b {} --task MODULE:COROUTINE` runs one"
)
NO_ETA = "no trial offers a task for a later instant"
OF_DRAMATIQ, WHY_DRAMATIQ = "README.md of dramatiq", "docs/source/motivation.rst of dramatiq"
OF_HUEY = "docs/index.rst of huey"
OF_PROCRASTINATE = "README.md of procrastinate"
OF_RAY = "doc/source/ray-overview/index.md of ray"
OF_PEBBLE = "doc/index.rst of pebble"
OF_DJANGO = "docs/topics/tasks.txt of django"

FIRST_PAGES: Mapping[str, PublishedBackend] = {
    "dramatiq": PublishedBackend(
        "dramatiq",
        THIRD,
        "A fast and reliable distributed task processing library for Python 3.",
        (
            Claim("distributed", YES, f"distributed task processing library ({OF_DRAMATIQ})"),
            Claim(
                "redelivered",
                YES,
                "Dramatiq doesn't let you change this: tasks are only ever acked when they're done "
                f"processing. ({WHY_DRAMATIQ}, Reliable delivery)",
                ("dramatiq", "dramatiq@safe"),
            ),
            Claim("retry", YES, f"Automatic retries: Yes ({WHY_DRAMATIQ})"),
            Claim(
                "priority",
                YES,
                f"Task prioritization: Yes ({WHY_DRAMATIQ})",
                ("dramatiq", "dramatiq[processes+rabbitmq+priorities]"),
            ),
            Claim("scheduling", NO, f"Cronlike scheduling: No ({WHY_DRAMATIQ})"),
        ),
        {
            f"fast ({OF_DRAMATIQ}); high reliability and performance ({WHY_DRAMATIQ})": (
                NO_FIGURE.format("dramatiq")
            ),
            f"Delayed tasks: Yes ({WHY_DRAMATIQ})": NO_ETA,
        },
    ),
    "huey": PublishedBackend(
        "huey",
        THIRD,
        "a little task queue",
        (
            Claim(
                "runs",
                YES,
                f"multi-process, multi-thread or greenlet task execution models ({OF_HUEY})",
                ("huey[process]", "huey[thread]", "huey[greenlet]"),
                each=True,
            ),
            Claim("scheduling", YES, f"schedule recurring tasks, like a crontab ({OF_HUEY})"),
            Claim("retry", YES, f"automatically retry tasks that fail ({OF_HUEY})"),
            Claim(
                "priority",
                YES,
                f"task prioritization ({OF_HUEY})",
                ("huey", "huey[process+priorities]"),
            ),
            Claim(
                "io-bound",
                YES,
                "If your work-loads are mostly IO-bound, you can run the consumer with threads or "
                f"greenlets instead. ({OF_HUEY})",
                ("huey[thread]", "huey[greenlet]"),
                each=True,
            ),
        ),
        {
            "Because greenlets are so lightweight, you can run quite a few of them efficiently "
            f"({OF_HUEY})": (
                "it names no number; `lab bench --experiment memory -b 'huey[greenlet]' -b "
                "'huey[thread]'` measures the memory of a worker"
            ),
            f"schedule tasks to execute at a given time, or after a given delay ({OF_HUEY})": (
                NO_ETA
            ),
        },
    ),
    "taskiq": PublishedBackend(
        "taskiq",
        THIRD,
        "Taskiq is an asynchronous distributed task queue for python.",
        (
            Claim(
                "distributed",
                YES,
                "Taskiq is an asynchronous distributed task queue for python. (README.md of "
                "taskiq)",
            ),
            Claim(
                "background",
                YES,
                "The message is going to be sent to the broker and then to the worker. The worker "
                "will execute the function. (README.md of taskiq)",
            ),
        ),
        {
            "taskiq can send and run both the sync and async functions (README.md of taskiq)": (
                NO_COROUTINE.format("taskiq")
            ),
        },
    ),
    "django-tasks": PublishedBackend(
        "django-tasks",
        THIRD,
        "Django's Tasks framework",
        (
            Claim(
                "background",
                YES,
                "Background Tasks can offload work to be run outside the request-response cycle, "
                f"to be run elsewhere, potentially at a later date. ({OF_DJANGO})",
            ),
            Claim(
                "priority",
                YES,
                "Larger numbers are higher priority. (README.md of django-tasks)",
            ),
            Claim(
                "priority-in-rq",
                YES,
                "If a task has a priority of 100, it is enqueued at the top of the queue, and will "
                "be the next task executed by a worker. (README.md of django-tasks-rq)",
                ("django-tasks[rq]",),
                instead="priority",
            ),
        ),
        {
            "This keeps requests fast, reduces latency, and improves the user experience. "
            f"({OF_DJANGO})": (
                "no trial serves a request; `lab bench -b django-tasks` measures the time of "
                "`enqueue`"
            ),
            "`run_after` can be passed to specify a specific time the task should run (README.md "
            "of django-tasks)": NO_ETA,
        },
    ),
    "procrastinate": PublishedBackend(
        "procrastinate",
        THIRD,
        "Procrastinate: PostgreSQL-based Task Queue for Python",
        (
            Claim("distributed", YES, f"distributed task processing library ({OF_PROCRASTINATE})"),
            Claim("scheduling", YES, f"It supports periodic tasks ({OF_PROCRASTINATE})"),
            Claim("retry", YES, f"It supports periodic tasks, retries ({OF_PROCRASTINATE})"),
        ),
        {
            f"It can be used within both sync and async code ({OF_PROCRASTINATE})": (
                NO_COROUTINE.format("procrastinate")
            ),
            f"arbitrary task locks ({OF_PROCRASTINATE})": "no trial needs a lock",
        },
    ),
    "ray": PublishedBackend(
        "ray",
        THIRD,
        "Ray is an open-source unified framework for scaling AI and Python applications",
        (
            Claim(
                "parallel", YES, f"It provides the compute layer for parallel processing ({OF_RAY})"
            ),
            Claim(
                "requeued",
                YES,
                "Fault tolerance: Ensuring tasks complete regardless of inevitable points of "
                f"failure. ({OF_RAY})",
                ("ray", "ray[actors]@safe"),
                each=True,
            ),
        ),
        {
            f"Scheduling: Coordinating when and where tasks are executed. ({OF_RAY})": (
                "it is about resources; the lab's criterion is about jobs that are due at an "
                "instant, of which Ray has none"
            ),
            f"Auto-scaling ({OF_RAY})": "the cluster of a trial has a fixed size",
        },
    ),
    "pebble": PublishedBackend(
        "pebble",
        THIRD,
        "Pebble provides a neat API to manage threads and processes within an application.",
        (
            Claim(
                "concurrent",
                YES,
                "A Pool allows to schedule jobs into a Pool of Processes which will perform them "
                f"concurrently. ({OF_PEBBLE})",
            ),
            Claim("own-memory", YES, f"the isolation offered by processes ({OF_PEBBLE})"),
            Claim(
                "reported",
                YES,
                "Raised by Future.result() functions if the related process died unexpectedly "
                f"during the execution. ({OF_PEBBLE}, ProcessExpired)",
            ),
        ),
        {
            f"If a task reaches its timeout, the worker will be interrupted. ({OF_PEBBLE})": (
                "no task of `lab claims` has a timeout"
            ),
        },
    ),
}
# Claims of packages that are one variant of a backend.
OF_VARIANTS: Mapping[str, tuple[Claim, ...]] = {
    "asyncio": (
        Claim(
            "worker-threads",
            YES,
            "Using worker threads lets the event loop continue running other tasks while the "
            "worker thread runs the blocking call. (docs/threads.rst of anyio)",
            ("asyncio[anyio]",),
            instead="io-bound",
        ),
    ),
}
