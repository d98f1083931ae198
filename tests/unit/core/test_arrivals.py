"""Tests that trial ids, plans and command lines survive the renaming of the kinds of arrival."""

from __future__ import annotations

import pytest

from lab.core.arrivals import FORMER_KINDS, PARAMETER_NAMES, present_kind
from lab.core.model import (
    ARRIVALS,
    Arrival,
    Burst,
    Chain,
    ClientCrash,
    FanOut,
    Idle,
    LoadLevel,
    Monitoring,
    Paced,
    Periodic,
    Priority,
    RateProbe,
    Retry,
    RoundTrip,
    Topology,
    TrialSpec,
)
from lab.core.serialization import spec_from_json, spec_to_json
from tests.factories.trials import spec_of

# Ids that version 0.2 of the lab computed, before it renamed the kinds.
IDS: tuple[tuple[Arrival, str], ...] = (
    (Burst(100), "91f8fd360c0a32cf"),
    (Paced(64, 50.0), "54c4bcf19d0358a2"),
    (RateProbe(90, 12.5, "uniform"), "5c792ccc364d3af7"),
    (LoadLevel(90, 12.5), "513ef97d820a4559"),
    (RoundTrip(7), "99697acfbdeaac2c"),
    (Periodic(1, 4, every_s=1.0), "a2b9108047bd1cd4"),
    (Periodic(2, 3, cron="* * * * *", is_removed=True), "93870c8a64d61ce9"),
    (Retry(20, 1.0), "1169bece4cb9d649"),
    (Priority(45, 5), "371276457097438f"),
    (FanOut(200, 10), "d15bddfe22b20266"),
    (Chain(100, 5), "f81219073023c148"),
    (ClientCrash(9), "75cdcb043807b93e"),
    (Monitoring(9), "70904781006cb8ea"),
    (Idle(5.0), "d1a362331972a22c"),
)


@pytest.mark.parametrize(("arrival", "trial_id"), IDS)
def test_the_id_of_a_trial_is_that_of_earlier_versions(arrival: Arrival, trial_id: str) -> None:
    """`--resume`, the pairing of runs and `lab reproduce` depend on it."""
    topology = Topology(1, 2, 2, 0.5)
    where = ("celery", "prefork", "default", "noop", 0, 0)
    assert TrialSpec(*where, arrival, topology, "local", 3, 77, 20, 30.0).id == trial_id


def test_every_kind_has_an_id_in_this_test() -> None:
    """A new kind of arrival needs a row above."""
    assert {arrival.kind for arrival, _ in IDS} == set(ARRIVALS)


@pytest.mark.parametrize(("kind", "former"), FORMER_KINDS.items())
def test_a_plan_of_an_earlier_version_is_read(kind: str, former: str) -> None:
    """Its kinds of arrival have their former names."""
    arrival = next(arrival for arrival, _ in IDS if arrival.kind == kind)
    spec = spec_of("inline", arrival=arrival)
    fields = spec_to_json(spec)
    assert fields["arrival"]["kind"] == kind
    fields["arrival"]["kind"] = former
    assert spec_from_json(fields) == spec
    assert present_kind(former) == present_kind(kind) == kind


def test_names_of_parameters_belong_to_kinds() -> None:
    """Former names are not in use for other kinds."""
    assert set(PARAMETER_NAMES) <= set(ARRIVALS)
    assert not set(FORMER_KINDS.values()) & set(ARRIVALS)
