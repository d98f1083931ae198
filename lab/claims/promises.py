"""Lists what the documentation of the systems promises about delivery, each with its source.

The sentences are quoted as published; the source follows in parentheses.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.claims.claim import Claim, Mark

RECEIPTS = "docs/brokers.md of django-q2"
OF_RQ = "docs/exceptions.md of rq"
PROMISES: Mapping[str, tuple[Claim, ...]] = {
    "multiprocessing": (
        Claim(
            "never-reported",
            Mark.YES,
            "multiprocessing.Pool gets stuck indefinitely when the child process is killed "
            "manually (python/cpython#96062, open)",
        ),
    ),
    "process-pool": (
        Claim(
            "reported",
            Mark.YES,
            "this exception class is raised when one of the workers of a ProcessPoolExecutor has "
            "terminated in a non-clean fashion (for example, if it was killed from the outside) "
            "(Doc/library/concurrent.futures.rst, BrokenProcessPool)",
        ),
    ),
    "joblib": (
        Claim(
            "reported",
            Mark.YES,
            "Raised when a process in a ProcessPoolExecutor terminated abruptly while a future "
            "was in the running state. (joblib/externals/loky/process_executor.py, "
            "TerminatedWorkerError)",
        ),
    ),
    "celery": (
        Claim(
            "reported",
            Mark.CONFIG,
            "The worker processing a job has exited prematurely. (celery/exceptions.py, "
            "WorkerLostError)",
            ("celery", "celery[prefork+results]"),
        ),
        Claim(
            "confirmed",
            Mark.YES,
            "basic.ack for a persistent message routed to a durable queue will be sent after "
            "persisting the message to disk (docs/confirms.md of rabbitmq-website)",
            ("celery[prefork+rabbitmq]@safe", "celery[prefork+rabbitmq+quorum]@safe"),
            each=True,
        ),
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
        Claim(
            "ack-failures",
            Mark.NO,
            "When set to True, also acknowledge unsuccessful tasks. This causes failed tasks to "
            "be considered as successful deliveries, thereby removing them from the task queue. "
            "(docs/configure.rst of django-q2, ack_failures; the claim: they are run again)",
            ("django-q[orm+sqlite]@safe",),
            instead="retry",
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
        Claim(
            "blamed",
            Mark.YES,
            "After a configurable number of deaths (config key "
            '"distributed.scheduler.allowed-failures"), Dask decides to blame the task itself, '
            "and returns this exception. (docs/source/killed.rst of distributed)",
            ("dask[distributed]",),
        ),
    ),
    "django-rq": (
        Claim(
            "reported",
            Mark.YES,
            "Every job that doesn't execute successfully is stored here, along with its exception "
            f"information ({OF_RQ}, FailedJobRegistry)",
        ),
        Claim(
            "requeued",
            Mark.CONFIG,
            f"Retry up to 3 times, failed job will be requeued immediately ({OF_RQ}, Retry)",
            ("django-rq", "django-rq@safe"),
        ),
        Claim(
            "redelivered",
            Mark.CONFIG,
            "Each one is retried if it has retries left, otherwise moved to the "
            "FailedJobRegistry. (rq/registry.py, StartedJobRegistry.cleanup)",
            ("django-rq", "rq@safe"),
        ),
    ),
}
# System -> sentence -> the reason why no trial of `lab claims` tests it.
UNTRIED: Mapping[str, Mapping[str, str]] = {
    "django-q": {
        "The default behavior for schedules that didn't run while a cluster was down, is to play "
        "catch up and execute all the missed time slots until things are back on schedule. "
        "(docs/configure.rst of django-q2, catch_up)": (
            "each of its schedules takes minutes; `lab bench --experiment faults --fault "
            "scheduler-kill --backend django-q` measures an outage of one time slot"
        )
    },
    "django-rq": {
        f"Another worker collects this job and moves it to the FailedJobRegistry. ({OF_RQ})": (
            "with the default settings this takes up to 810 s; `lab bench --experiment faults "
            "--backend rq` measures it"
        )
    },
}
