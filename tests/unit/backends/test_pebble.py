"""Tests what the adapter of Pebble says about its pools."""

from __future__ import annotations

import json
import multiprocessing

import pytest

from lab.backends.pebble import Pebble
from lab.core.model import Serializer, Topology
from lab.planning import registry


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_pool_of_processes_has_its_start_method(method: str) -> None:
    """The row has the default of the interpreter as well, which other Pythons do not share."""
    chosen = registry.select(f"pebble[{method}]")
    settings = Pebble(registry.setup(chosen, Topology(1, 2, 2), {})).effective_settings()
    assert (settings["max_workers"], settings["start_method"]) == (2, method)
    assert settings["default_start_method"] == multiprocessing.get_all_start_methods()[0]
    json.dumps(settings)


def test_a_pool_of_threads_is_in_the_process_of_the_driver() -> None:
    """It has no start method, and its reference is a queue of threads."""
    chosen = registry.select("pebble[threads]")
    settings = Pebble(registry.setup(chosen, Topology(1, 1, 1), {})).effective_settings()
    assert "default_start_method" not in settings
    (variant,) = (v for v in Pebble.variants if v.name == "threads")
    assert variant.serializer is Serializer.MEMORY
    assert registry.reference("pebble[threads]").startswith("queue[")
