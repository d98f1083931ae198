"""Tests the types of the model: deprecated names, and the ids of trials."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from lab.core.model import Serializer, TrialSpec, Variant
from tests.factories.trials import spec_of


def test_the_deprecated_name_of_the_serializer_sets_it() -> None:
    """An adapter of version 0.1 goes on working, and its author sees the new name."""
    with pytest.warns(DeprecationWarning, match=r"Variant\.carrier .* name it serializer") as seen:
        variant = Variant("default", frozenset(), "A variant.", carrier=Serializer.JSON)
    assert seen[0].filename == __file__
    assert variant.serializer is Serializer.JSON
    assert replace(variant, name="other").serializer is Serializer.JSON


def test_an_id_leaves_out_newer_fields_at_their_defaults() -> None:
    """A trial of an older version keeps its id; any other value makes another trial."""
    spec = spec_of("thread-pool", "noop")
    values = {name: getattr(spec, name) for name in ("answer", "pass_env", "fault")}
    assert values == {"answer": None, "pass_env": (), "fault": None}
    assert replace(spec, pass_env=("HOME",)).id != spec.id
    assert replace(spec, block=spec.block + 1).id != spec.id
    assert {field.name for field in fields(TrialSpec)} >= set(values)


def test_the_id_of_a_trial_with_one_driver_is_that_of_older_versions() -> None:
    """The id was computed before the number of drivers was a field; several are another trial."""
    spec = spec_of("raw-redis")
    assert spec.id == "328bc1b9a440bd83"
    assert replace(spec, topology=replace(spec.topology, drivers=2)).id != spec.id
