"""Defines asv's benchmarks of the preset quick."""

from __future__ import annotations

from lab.history.samples import Samples

from . import costs


def setup_cache() -> Samples:
    """Run the campaign; defined here, because asv identifies the function by file and line."""
    return costs.measure("quick")


setup_cache.timeout = costs.CAMPAIGN_TIMEOUT_S  # type: ignore[attr-defined]
globals().update(costs.classes("quick"))
