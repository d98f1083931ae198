"""Lets each container test see only the objects of its time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import containers


@pytest.fixture(autouse=True)
def without_earlier_objects(request: pytest.FixtureRequest) -> Iterator[None]:
    """Ignore objects of earlier tests, so that one test fails for them and not all later ones.

    Docker 20.10 once kept a network for ever: "has active endpoints", with no container in it.
    """
    if request.node.get_closest_marker("cluster"):
        containers.earlier.update(containers.names())
    yield
    containers.earlier.clear()
