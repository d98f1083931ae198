"""What a plan's tasks are, and what they are kept from."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from lab.planning.tasks import set_apart


@pytest.fixture
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_thawed")
def test_the_collector_walks_over_no_plan_but_collects_what_comes_later() -> None:
    """The objects before the window cost its collections nothing; a cycle made in it is freed."""
    plan = [[n] for n in range(1_000)]
    set_apart()
    seen = {id(found) for found in gc.get_objects()}
    assert not seen & set(map(id, plan))

    class Later:
        pass

    later = Later()
    later.itself = later  # type: ignore[attr-defined]
    gone = weakref.ref(later)
    del later
    gc.collect()
    assert gone() is None
