"""Times the start of a run in a cached environment; `nox -s perf`."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from lab.core.model import TrialSpec
from lab.environments import facts, interpreters, preparation, requirements
from lab.host import child_environment, environment
from lab.providers import PROVIDERS
from tests.factories.trials import spec_of

pytestmark = pytest.mark.slow

# All that a process of the lab stores about interpreters and packages.
CACHES = (
    preparation.of_trial,
    preparation.recipe_of,
    interpreters._about,
    child_environment.default_path,
    environment._versions,
)


def seconds_to_start(spec: TrialSpec) -> float:
    """Return how long a new process of the lab needs between the plan and the first trial."""
    for cache in CACHES:
        cache.cache_clear()
    begin = time.monotonic()
    preparation.prepare([spec], print)
    environment.fingerprint(facts.of_trials([spec], PROVIDERS))
    return time.monotonic() - begin


def test_a_cached_environment_starts_as_fast_as_the_lab_itself(
    benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aim: no start of an interpreter more."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pins = requirements.needs_of("joblib").pins.split()
    plain = spec_of("joblib")
    other = spec_of("joblib", environment=next(pin for pin in pins if pin.startswith("joblib==")))
    seconds_to_start(other)  # creates it
    pairs: list[tuple[float, float]] = []

    def both() -> None:
        pairs.append((seconds_to_start(plain), seconds_to_start(other)))

    benchmark.pedantic(both, rounds=15, warmup_rounds=2)
    without, with_it = map(statistics.median, zip(*pairs, strict=True))
    benchmark.extra_info["s_without"] = round(without, 3)
    benchmark.extra_info["s_with_cached_environment"] = round(with_it, 3)
