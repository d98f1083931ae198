"""Decides whether a benchmark measures at full size, or runs once to show that it still works."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def full_size(request: pytest.FixtureRequest) -> bool:
    """Return whether `nox -s perf` runs the benchmarks; CI runs each once, at a small size."""
    return bool(request.config.getoption("--benchmark-enable"))
