"""Tests the exclusion of a plan's tasks from garbage collection."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from lab.planning.tasks import freeze_gc


@pytest.fixture
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_thawed")
def test_only_later_objects_are_garbage_collected() -> None:
    """The collector does not traverse earlier objects; it frees a later reference cycle."""
    plan = [[n] for n in range(1_000)]
    freeze_gc()
    tracked = {id(item) for item in gc.get_objects()}
    assert not tracked & set(map(id, plan))

    class Later:
        pass

    later = Later()
    later.itself = later  # type: ignore[attr-defined]
    reference = weakref.ref(later)
    del later
    gc.collect()
    assert reference() is None
