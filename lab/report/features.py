"""Reads from the adapters which contract systems have, and whether they need Redis or Django."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lab.analysis.contracts import contract_of
from lab.analysis.labels import selected
from lab.core.backend import services_of, variant_of
from lab.core.model import Service
from lab.core.servers import REDIS_SERVERS


@dataclass(frozen=True, slots=True)
class Features:
    """Holds the properties by which a reader filters systems.

    Attributes:
        contract: Its `Contract`, or that it is unknown.
        redis: It needs a Redis server.
        django: It needs Django.
    """

    contract: str
    redis: bool
    django: bool


def features_of(label: str, servers: Collection[str] = ()) -> Features:
    """Return the features of a label; `servers` are those that its trials recorded."""
    needs_redis = any(name in text for text in servers for name in REDIS_SERVERS)
    if (chosen := selected(label)) is None:
        return Features(contract_of(label), redis=needs_redis, django=False)
    of_variant = variant_of(chosen.backend, chosen.variant).packages
    return Features(
        contract=contract_of(label),
        redis=needs_redis or Service.REDIS in services_of(chosen.backend, chosen.variant),
        django="django" in {*chosen.backend.packages, *of_variant},
    )
