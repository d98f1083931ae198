"""Reads from the adapters which systems keep tasks, need Redis, or run inside Django."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lab.core.backend import services_of, variant_of
from lab.core.errors import LabError
from lab.core.faults import FaultKind
from lab.core.model import Service
from lab.planning import registry
from lab.report.documented import documented_safe


@dataclass(frozen=True, slots=True)
class Features:
    """Holds the properties by which a reader filters systems.

    Attributes:
        keeps: It documents that it keeps tasks when a worker dies.
        redis: It needs a Redis server.
        django: It needs Django.
    """

    keeps: bool
    redis: bool
    django: bool


def features_of(label: str, servers: Collection[str] = ()) -> Features:
    """Return the features of a label; `servers` are those that its trials recorded."""
    needs_redis = any(Service.REDIS in text for text in servers)
    try:
        chosen = registry.select(label)
    except LabError:  # a system of another package, which is not installed here
        return Features(keeps=False, redis=needs_redis, django=False)
    of_variant = variant_of(chosen.backend, chosen.variant).packages
    return Features(
        keeps=FaultKind.WORKER_KILL in documented_safe(label),
        redis=needs_redis or Service.REDIS in services_of(chosen.backend, chosen.variant),
        django="django" in {*chosen.backend.packages, *of_variant},
    )
