"""Computes the settings of the Django project for a trial of django-q2."""

from __future__ import annotations

from typing import Any

from lab.backends import _django
from lab.core.model import BackendContext

# The settings that are not keys of django-q2's `Q_CLUSTER` (docs, Configuration).
OURS = ("database", "conn_max_age", "reuse_broker")


def settings_of(setup: BackendContext) -> dict[str, Any]:
    """Return the settings that `lab.backends._django` merges into those of the project."""
    settings = setup.settings
    cluster = {name: value for name, value in settings.items() if name not in OURS}
    # The default is the number of the machine's CPUs, independent of the node's.
    cluster["workers"] = setup.topology.workers_per_node
    project: dict[str, Any] = {"INSTALLED_APPS": ["django_q"], "Q_CLUSTER": cluster, "DATABASE": {}}
    if "redis" in settings:
        cluster["redis"] = setup.endpoints[settings["redis"]]
    else:
        # Clusters publish their state in the cache, which by default is local to each process.
        backend = "django.core.cache.backends.db.DatabaseCache"
        project["CACHES"] = {"default": {"BACKEND": backend, "LOCATION": "cache"}}
    if "database" in settings:
        project["DATABASE"] = _django.postgres(setup.endpoints[settings["database"]])
    if "conn_max_age" in settings:
        project["DATABASE"]["CONN_MAX_AGE"] = settings["conn_max_age"]
    return project
