"""Tests the instrumentation overhead H of a simulated backend against M19's limits (KAT-14)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.analysis.statistics import LARGEST_OVERHEAD, SMALL_OVERHEAD, paired_ratio
from lab.core.model import Estimate
from lab.worker import execution, ledger
from workloads import noop

# Time per task of the fastest backend with a broker (Celery, 600 to 1,200 tasks per second on two
# cores), of which recording is a small part. For faster backends the metric
# `instrumentation_overhead` reports the larger part: see test_instrumentation_cost.
HANDLING_S = 1e-3
# Many short pairs, because the speed of a CPU may change by half within some tenths of a second.
TASKS, PAIRS = 5, 200


@pytest.fixture(autouse=True)
def _recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"LEDGER": str(tmp_path), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    ledger._forget()
    yield
    ledger._forget()


def handle(task: Callable[..., Any], *arguments: Any) -> None:
    """Use `HANDLING_S` of CPU time, then call the task."""
    until = time.thread_time() + HANDLING_S
    while time.thread_time() < until:
        pass
    task(*arguments)


def rate(task: Callable[..., Any], *arguments: Any) -> float:
    """Return tasks per second of CPU time, which does not depend on other processes."""
    begin = time.thread_time()
    for task_id in range(TASKS):
        handle(task, task_id, *arguments)
    return TASKS / (time.thread_time() - begin)


def pairs(recorded: Callable[..., Any]) -> tuple[list[float], list[float]]:
    """Measure the rate without and with recording, in pairs of random order."""
    off: list[float] = []
    on: list[float] = []
    for _ in range(PAIRS):
        sides = [(off, noop.run, ()), (on, recorded, ("workloads.noop:run", 1))]
        random.shuffle(sides)
        for rates, task, arguments in sides:
            rates.append(rate(task, *arguments))
    return off, on


def overhead_of(rates: tuple[list[float], list[float]]) -> Estimate:
    """Return ``H = X_off / X_on - 1`` with its interval."""
    ratio = paired_ratio(*rates)
    assert ratio.low is not None
    assert ratio.high is not None
    return replace(ratio, value=ratio.value - 1, low=ratio.low - 1, high=ratio.high - 1)


@pytest.mark.alone  # a ratio of times
def test_recording_is_a_small_part_of_a_task() -> None:
    """H has an interval and is within the limits of M19."""
    overhead = overhead_of(pairs(execution.execute))
    assert overhead.n == PAIRS
    assert overhead.value <= SMALL_OVERHEAD, overhead
    assert overhead.high is not None
    assert overhead.value <= overhead.high <= LARGEST_OVERHEAD


def test_slow_recording_exceeds_the_limits() -> None:
    """Recording that takes a fifth of the task is outside the limits, and H is about a fifth."""

    def record_slowly(*arguments: Any) -> None:
        until = time.thread_time() + 0.2 * HANDLING_S
        while time.thread_time() < until:
            pass
        execution.execute(*arguments)

    overhead = overhead_of(pairs(record_slowly))
    assert max(SMALL_OVERHEAD, 0.1) < overhead.value < 0.4
