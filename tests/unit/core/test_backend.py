"""Tests the defaults of the contract of adapters, and the functions that combine its facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest

from lab.core.backend import DEFAULT, Backend, ack_means_of
from lab.core.model import BackendContext, Profile, Service, Topology, Variant
from lab.core.outcomes import AckMeans, TaskState


class Adapter(Backend):
    """An adapter that states nothing about faults, as one of another package may."""

    family = "test"
    summary = "states nothing about faults"
    variants: ClassVar[Sequence[Variant]] = (Variant("v", frozenset(), "As such."),)

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


class OnRedis(Adapter):
    """An adapter whose broker replies."""

    services = (Service.REDIS,)
    variants = (
        Variant("replied", frozenset(), "As such.", ack_means=AckMeans.ACCEPTED),
        Variant("sent", frozenset(), "As such.", ack_means=AckMeans.SOCKET),
    )
    profiles = (DEFAULT, Profile("safe", {}, "As such.", ack_means=AckMeans.CONFIRMED))


def test_adapter_that_states_nothing_promises_nothing() -> None:
    """It reports no states, redelivers nothing, and acknowledges in the submitter's memory."""
    adapter = Adapter(BackendContext("test", "v", "default", Topology(1, 1, 1), {}, {}))
    assert adapter.state_of(None) is TaskState.UNKNOWN
    assert Adapter.redelivery_horizon_s({}) is None
    assert Adapter.redelivery_horizon_s({}, is_started=True) is None
    assert ack_means_of(Adapter, "v", "default") is AckMeans.IN_MEMORY


@pytest.mark.parametrize(
    ("variant", "profile", "persistence", "expected"),
    [
        ("replied", "default", "", AckMeans.ACCEPTED),
        ("replied", "default", "aof-everysec", AckMeans.ACCEPTED),
        ("replied", "default", "aof-always", AckMeans.ON_DISK),
        ("sent", "default", "aof-always", AckMeans.SOCKET),
        ("sent", "safe", "", AckMeans.CONFIRMED),
    ],
)
def test_acknowledgement_depends_on_variant_profile_and_persistence(
    variant: str, profile: str, persistence: str, expected: AckMeans
) -> None:
    """A reply of Redis follows an fsync only with ``appendfsync always``."""
    assert ack_means_of(OnRedis, variant, profile, persistence) is expected
