"""Tests the instrumentation overhead H of a simulated backend against M19's limits (KAT-14)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.analysis.statistics import instrumentation_overhead
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


@pytest.mark.alone  # a ratio of times
def test_recording_is_a_small_part_of_a_task() -> None:
    """H has an interval and is within the limits of M19."""
    overhead, may_be_used = instrumentation_overhead(*pairs(execution.execute))
    assert overhead.n == PAIRS
    assert overhead.low is not None
    assert overhead.high is not None
    assert overhead.low <= overhead.value <= overhead.high
    assert may_be_used, overhead


def test_slow_recording_exceeds_the_limits() -> None:
    """Recording that takes a fifth of the task is outside the limits, and H is about a fifth."""

    def record_slowly(*arguments: Any) -> None:
        until = time.thread_time() + 0.2 * HANDLING_S
        while time.thread_time() < until:
            pass
        execution.execute(*arguments)

    overhead, may_be_used = instrumentation_overhead(*pairs(record_slowly))
    assert not may_be_used
    assert 0.1 < overhead.value < 0.4


def test_known_rates_give_the_known_overhead() -> None:
    """H is X_off / X_on - 1; a rate without an interval must not be used."""
    overhead, may_be_used = instrumentation_overhead([110.0] * 6, [100.0] * 6)
    assert overhead.value == pytest.approx(0.10)
    assert not may_be_used
    assert instrumentation_overhead([101.0] * 6, [100.0] * 6)[1]
    assert not instrumentation_overhead([101.0] * 2, [100.0] * 2)[1]
