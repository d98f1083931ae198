"""Makes the settings of the Django project, and the schedules, of a trial of django-q2."""

from __future__ import annotations

from typing import Any

from lab.backends import _django
from lab.core.errors import UsageError
from lab.core.model import BackendContext, Job

# The settings that are not keys of django-q2's `Q_CLUSTER` (docs, Configuration).
OURS = ("database", "conn_max_age", "reuse_broker")


def project(setup: BackendContext) -> dict[str, Any]:
    """Return the settings that `lab.backends._django` merges into those of the project."""
    settings = setup.settings
    cluster = {name: value for name, value in settings.items() if name not in OURS}
    # The default is the number of the machine's CPUs, independent of the node's.
    cluster["workers"] = setup.topology.workers_per_node
    fields: dict[str, Any] = {
        "INSTALLED_APPS": ["django_q"],
        "Q_CLUSTER": cluster,
        "DATABASE": _django.database(setup),
    }
    if "redis" in settings:
        cluster["redis"] = setup.endpoints[settings["redis"]]
    else:
        # Clusters publish their state in the cache, which by default is local to each process.
        backend = "django.core.cache.backends.db.DatabaseCache"
        fields["CACHES"] = {"default": {"BACKEND": backend, "LOCATION": "cache"}}
    return fields


def when(job: Job) -> dict[str, Any]:
    """Return the fields of a `Schedule` for a job (docs, Schedules).

    Raises:
        UsageError: The interval is not of whole minutes.
    """
    from django_q.models import Schedule

    minutes, rest_s = divmod(job.every_s, 60)
    if rest_s:
        raise UsageError(f"django-q2 schedules by whole minutes, not every {job.every_s:g} s.")
    if minutes:
        return {"schedule_type": Schedule.MINUTES, "minutes": int(minutes)}
    return {"schedule_type": Schedule.CRON, "cron": job.cron}
