"""Lists what the documentation of the systems promises about delivery, each with its source.

The sentences are quoted as published; the source follows in parentheses.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.claims.claim import Claim, Mark

RECEIPTS = "docs/brokers.md of django-q2"
PROMISES: Mapping[str, tuple[Claim, ...]] = {
    "celery": (
        Claim(
            "at-most-once",
            Mark.YES,
            "a task invocation that already started is never executed again "
            "(userguide/tasks.rst, of the default)",
        ),
        Claim(
            "redelivered",
            Mark.CONFIG,
            "If a task isn't acknowledged within the visibility_timeout the task will be "
            "redelivered to another worker and executed. (backends-and-brokers/redis.rst)",
            ("celery", "celery@safe"),
        ),
        Claim(
            "requeued",
            Mark.CONFIG,
            "Setting this to true allows the message to be re-queued instead, so that the task "
            "will execute again by the same worker, or another worker. "
            "(userguide/configuration.rst, task_reject_on_worker_lost)",
            ("celery", "celery@safe"),
        ),
    ),
    "django-q": (
        Claim(
            "redelivered",
            Mark.YES,
            "In case a receipt has not been received after a set time, the task package is put "
            f"back in the queue. ({RECEIPTS}, of brokers with receipts)",
            ("django-q[orm+sqlite]",),
        ),
        Claim(
            "without-receipts",
            Mark.NO,
            "in case of a catastrophic failure of the cluster server or worker timeouts, tasks "
            f"that were being executed get lost ({RECEIPTS}, of the Redis broker)",
            ("django-q[redis]",),
            instead="redelivered",
        ),
    ),
    "dask": (
        Claim(
            "redelivered",
            Mark.YES,
            "the scheduler will reroute all pending computations to other workers "
            "(docs/source/resilience.rst of distributed)",
            ("dask[distributed]",),
        ),
    ),
}
# System -> sentence -> the reason why no trial of `lab claims` tests it.
UNTRIED: Mapping[str, Mapping[str, str]] = {
    "django-rq": {
        "Another worker collects this job and moves it to the FailedJobRegistry. "
        "(docs/exceptions.md of rq)": (
            "with the default settings this takes up to 810 s; `lab bench --experiment faults "
            "--backend rq` measures it"
        )
    }
}
