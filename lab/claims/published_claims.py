"""Lists the published claims about twelve backends: one table and its sentences.

The sentences are quoted as published. The claims about further systems are in `first_pages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lab.claims.claim import Claim, Mark, PublishedBackend
from lab.claims.first_pages import FIRST_PAGES, OF_VARIANTS
from lab.claims.promises import PROMISES, UNTRIED

YES, NO, CONFIG = Mark.YES, Mark.NO, Mark.CONFIG
COLUMNS = ("concurrent", "parallel", "scheduling")
TASTE = "simplicity and popularity are opinions"
STATIC, DYNAMIC = "celery-beat[static]", "celery-beat[django]"
RQCRON = "`manage.py rqcron` and a job file"
SLEEPER = "a coroutine that sleeps until each instant; intervals only, no cron line"
RQWORKERS = "one `manage.py rqworker` per concurrent task"
NO_TRIAL = "every trial depends on it, so no trial can show the opposite"

_TABLE: Mapping[str, PublishedBackend] = {
    "threading": PublishedBackend(
        "threading",
        "Inbuilt",
        "I/O-bound; shares memory; affected by GIL",
        (
            Claim("concurrent", YES, "Concurrent task execution."),
            Claim("parallel", NO, "Parallel ✖"),
            Claim("scheduling", NO, "Scheduling ✖"),
            Claim("shared-memory", YES, "It shares common memory space."),
            Claim("io-bound", YES, "Good for I/O-bound tasks"),
            Claim("cpu-bound", NO, "not for CPU-bound tasks due to GIL."),
            Claim("shared-variable", YES, "Can access and modify shared data between tasks."),
        ),
        {},
    ),
    "thread-pool": PublishedBackend(
        "ThreadPoolExecutor",
        "Inbuilt",
        "I/O-bound; concurrent threads; GIL-limited",
        (
            Claim("concurrent", YES, "Concurrent execution using a pool of threads."),
            Claim("parallel", NO, "GIL-limited"),
            Claim("scheduling", NO, "Scheduling ✖"),
            Claim("shared-memory", YES, "Shares memory space (GIL-bound)."),
            Claim("io-bound", YES, "Good for I/O-bound tasks."),
        ),
        {"High-level abstraction over threading.": TASTE},
    ),
    "multiprocessing": PublishedBackend(
        "multiprocessing",
        "Inbuilt",
        "CPU-bound; separate memory; true parallel",
        (
            Claim("concurrent", NO, "Concurrent ✖"),
            Claim("parallel", YES, "Parallel task execution."),
            Claim("scheduling", NO, "Scheduling ✖"),
            Claim("own-memory", YES, "Each process has its own memory space."),
            Claim("cpu-bound", YES, "Good for CPU-bound tasks as it can utilize multiple CPUs."),
            Claim(
                "shared-block",
                YES,
                "Can access and modify shared data between tasks using shared memory.",
            ),
        ),
        {"... using queues or pipes.": "a Pool passes no queue to its tasks"},
    ),
    "process-pool": PublishedBackend(
        "ProcessPoolExecutor",
        "Inbuilt",
        "CPU-bound; high-level parallel processing",
        (
            Claim("concurrent", NO, "Concurrent ✖"),
            Claim("parallel", YES, "Parallel task execution using a pool of processes."),
            Claim("scheduling", NO, "Scheduling ✖"),
            Claim("own-memory", YES, "a pool of processes"),
            Claim("cpu-bound", YES, "Good for CPU-bound tasks."),
        ),
        {
            "High-level abstraction over multiprocessing.": TASTE,
            "Easier to use than raw multiprocessing.": TASTE,
        },
    ),
    "asyncio": PublishedBackend(
        "asyncio",
        "Inbuilt",
        "I/O-bound; single-threaded async; non-blocking",
        (
            Claim("concurrent", YES, "Concurrent asynchronous task execution."),
            Claim("parallel", NO, "Parallel ✖"),
            Claim("scheduling", NO, "Scheduling ✖", needs=SLEEPER),
            Claim("single-threaded", YES, "single-threaded"),
            Claim("io-bound", YES, "Great for I/O-bound tasks like network requests, DB calls."),
            Claim("cpu-bound", NO, "Not suitable for CPU-heavy operations."),
        ),
        {"Uses coroutines, event loop, and non-blocking I/O.": "this is the definition of asyncio"},
    ),
    "joblib": PublishedBackend(
        "joblib",
        "3rd-Party",
        "CPU or I/O-bound; simple parallel loops",
        (
            Claim(
                "concurrent", CONFIG, "Concurrent ✓ (with config)", ("joblib", "joblib[threading]")
            ),
            Claim("parallel", YES, "Parallel execution using multiple processes."),
            Claim("scheduling", NO, "Scheduling ✖"),
            Claim("own-memory", YES, "using multiple processes"),
            Claim(
                "io-bound",
                CONFIG,
                "Can also use threading for I/O-bound tasks with backend='threading'.",
                ("joblib", "joblib[threading]"),
            ),
        ),
        {
            "Simplifies parallelization of loops and heavy computations.": TASTE,
            "Common in scientific computing.": TASTE,
        },
    ),
    "dask": PublishedBackend(
        "dask",
        "3rd-Party",
        "Scalable; big data; task graphs; distributed",
        (
            Claim("concurrent", YES, "Concurrent ✓"),
            # The default scheduler has threads, which share the GIL.
            Claim("parallel", YES, "Parallel task execution.", ("dask", "dask[processes]")),
            Claim("scheduling", YES, "Scheduling ✓"),
            Claim("distributed", YES, "distributed task execution.", ("dask[distributed]",)),
            Claim(
                "runs",
                YES,
                "Scales from threads to processes to distributed clusters.",
                ("dask[threads]", "dask[processes]", "dask[distributed]"),
                each=True,
            ),
        ),
        {
            "Supports dynamic task graphs, delayed execution, and large datasets.": (
                "these are interfaces for data; the lab runs tasks"
            ),
            "Used for big data, machine learning, and dataframes.": TASTE,
        },
    ),
    "celery": PublishedBackend(
        "celery",
        "3rd-Party",
        "I/O and CPU-bound; distributed; broker-based",
        (
            Claim("concurrent", YES, "concurrent or parallel execution"),
            Claim("parallel", YES, "concurrent or parallel execution"),
            Claim("scheduling", YES, "Can have Scheduled tasks (CRON)", (STATIC, DYNAMIC)),
            Claim("static-schedule", YES, "statically using celery itself", (STATIC,)),
            Claim("dynamic-schedule", YES, "dynamically using django-celery-beat", (DYNAMIC,)),
            Claim("distributed", YES, "Distributed task queue"),
            Claim("background", YES, "(only background)"),
            Claim(
                "shared-store", YES, "Can access and modify shared data between tasks using redis."
            ),
            Claim("io-bound", YES, "Good for I/O-bound tasks."),
            Claim("cpu-bound", YES, "Good for CPU-bound tasks."),
            Claim("monitoring", YES, "Has monitoring using flower."),
            Claim("retry", YES, "retry mechanism"),
            Claim("priority", YES, "prioritization"),
            Claim("all-workers", YES, "Can utilize all workers."),
        ),
        {
            "... using rabbitmq, cache or database.": "a message broker stores no shared data",
            "Has management using flower.": TASTE,
            "`celery worker` and `celery beat` must be running.": NO_TRIAL,
        },
    ),
    "apscheduler": PublishedBackend(
        "apscheduler",
        "3rd-Party",
        "I/O-bound; uses threads by default, can use processes",
        (
            Claim("concurrent", YES, "Concurrent (default)"),
            Claim(
                "parallel",
                CONFIG,
                "can use processes",
                # Without `late-runs` APScheduler drops runs that wait for longer than a second.
                ("apscheduler", "apscheduler[processes+late-runs]"),
            ),
            Claim("scheduling", YES, "Scheduled tasks (CRON, Interval, ...)"),
            Claim("background", YES, "(only background)"),
            Claim(
                "runs",
                YES,
                "It supports both sync and async job execution.",
                ("apscheduler", "apscheduler[asyncio+late-runs]"),
                each=True,
            ),
            Claim("io-bound", YES, "Good for I/O-bound tasks"),
            Claim("cpu-bound", NO, "not for CPU-bound tasks"),
            Claim("single-threaded", YES, "due to single-threaded nature."),
            Claim(
                "dynamic-schedule",
                YES,
                "Has management - Can add, modify, and remove scheduled tasks dynamically.",
            ),
            Claim("shared-memory", YES, "Runs in background within apps (like Flask/Django)."),
        ),
        {},
    ),
    "django-rq": PublishedBackend(
        "django-rq",
        "3rd-Party",
        "I/O-bound; Redis-backed queue",
        (
            Claim("concurrent", YES, "Concurrent execution based on worker setup", needs=RQWORKERS),
            Claim("parallel", CONFIG, "parallel task execution", needs=RQWORKERS),
            Claim("scheduling", CONFIG, "Scheduling ✓ (with config)", needs=RQCRON),
            Claim("background", YES, "(only background)"),
            Claim(
                "shared-store", YES, "Can access and modify shared data between tasks using redis."
            ),
            Claim("io-bound", YES, "Good for I/O-bound tasks.", needs=RQWORKERS),
            Claim("monitoring", YES, "Has monitoring"),
            Claim("retry", YES, "and retry mechanism."),
            Claim("all-workers", YES, "Can utilize all workers."),
        ),
        {"`python manage.py rqworker` must be running.": NO_TRIAL},
    ),
    "django-crontab": PublishedBackend(
        "django-crontab",
        "3rd-Party",
        "I/O-bound; system-level cron integration",
        (
            # It accepts no tasks, so the questions are about its jobs.
            Claim("concurrent", NO, "Concurrent ✖", instead="jobs-overlap"),
            Claim("parallel", NO, "Parallel ✖", instead="jobs-parallel"),
            Claim("scheduling", YES, "Scheduled tasks for Django (CRON)", instead="jobs-kept"),
            Claim("background", YES, "(only background)", instead="jobs-apart"),
            Claim("io-bound", YES, "Good for I/O-bound tasks.", instead="jobs-overlap"),
        ),
        {"Management via Django settings and manage.py crontab commands.": NO_TRIAL},
    ),
    "django-q": PublishedBackend(
        "django-q",
        "3rd-Party",
        "I/O and CPU-bound; thread or process workers",
        (
            Claim("concurrent", YES, "Concurrent task execution"),
            Claim("parallel", YES, "parallel task execution"),
            # Its finest period is a minute, so one trial serves this claim and `dynamic-schedule`.
            Claim("scheduling", YES, "Scheduled tasks (CRON)", instead="kept-then-removed"),
            Claim("background", YES, "(only background)"),
            Claim("own-memory", YES, "process-based workers"),
            Claim(
                "shared-store",
                YES,
                "Can access and modify shared data between tasks using database or message broker.",
                ("django-q[redis]",),
            ),
            Claim("io-bound", YES, "Good for I/O-bound tasks."),
            Claim("cpu-bound", YES, "Good for CPU-bound tasks."),
            Claim("dynamic-schedule", YES, "statically/dynamically using django-q."),
            Claim("monitoring", YES, "Has monitoring and management in django-q itself."),
            Claim("all-workers", YES, "Can utilize all workers."),
        ),
        {
            "thread-based workers": "django-q2 documents and implements process workers only",
            "`python manage.py qcluster` must be running.": NO_TRIAL,
        },
    ),
}
# With the promises about delivery and the systems that are no part of that table.
PUBLISHED: Mapping[str, PublishedBackend] = {
    name: replace(
        system,
        claims=(*system.claims, *PROMISES.get(name, ()), *OF_VARIANTS.get(name, ())),
        unjudged={**system.unjudged, **UNTRIED.get(name, {})},
    )
    for name, system in {**_TABLE, **FIRST_PAGES}.items()
}
