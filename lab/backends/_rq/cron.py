"""The configuration file of `rq cron` and of `manage.py rqcron`: the jobs of this trial."""

from __future__ import annotations

from rq import cron

from lab.backends._rq import QUEUE
from lab.core.backend import setup_from_environment
from lab.core.errors import UsageError
from lab.worker import execution

for job in setup_from_environment().jobs:
    if job.every_s % 1:
        raise UsageError(f"RQ's intervals are whole seconds, and job {job.id} has {job.every_s}.")
    cron.register(
        execution.execute,
        QUEUE,
        args=(job.id, job.function, job.argument),
        interval=int(job.every_s) or None,
        cron=job.cron or None,
        name=str(job.id),
    )
