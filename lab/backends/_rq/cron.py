"""Registers the jobs of this trial: the configuration file of `rq cron` and `manage.py rqcron`."""

from __future__ import annotations

from rq import cron

from lab.backends._rq import QUEUE
from lab.core.backend import setup_from_environment
from lab.core.errors import UsageError
from lab.worker import execution

for job in setup_from_environment().jobs:
    if job.every_s % 1:
        raise UsageError(f"RQ needs intervals of whole seconds; job {job.id} has {job.every_s} s.")
    cron.register(
        execution.execute,
        QUEUE,
        args=job.arguments,
        # RQ rejects a job with both or neither, so the one that a job lacks is None.
        interval=int(job.every_s) or None,
        cron=job.cron or None,
        name=str(job.id),
    )
