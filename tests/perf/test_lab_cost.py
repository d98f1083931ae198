"""Times the lab itself; `nox -s perf`. Nothing here fails because of a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.analysis.metrics.registry import trial_metrics
from lab.core.model import Burst, Paced
from lab.driver import instrumentation_cost
from lab.driver.pacing import offsets_ns, pace
from lab.planning import registry
from lab.planning.phases import UNINSTRUMENTED
from lab.running import trial
from lab.validation.trial_row import collect
from lab.worker import execution, ledger
from tests.factories.trials import CONTEXT, spec_of

pytestmark = pytest.mark.slow
RECORDS = 20_000


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process record into an empty folder."""
    for name, value in {"LEDGER": str(tmp_path), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    ledger._forget()
    yield
    ledger._forget()


def per_call(benchmark: Any, loop: Any, calls: int) -> None:
    """Benchmark a loop and add what one of its calls takes, in microseconds."""
    benchmark.pedantic(loop, rounds=15, warmup_rounds=2)
    if not benchmark.enabled:  # CI runs each loop once, without a time
        return
    benchmark.extra_info["us_per_call_min"] = round(benchmark.stats.stats.min / calls * 1e6, 3)
    benchmark.extra_info["us_per_call_median"] = round(
        benchmark.stats.stats.median / calls * 1e6, 3
    )


@pytest.mark.usefixtures("recording")
def test_one_record_with_its_two_clock_reads(benchmark: Any) -> None:
    """Aim: 0.6 us."""
    begin, finish, now = ledger.begin, ledger.finish, time.monotonic_ns

    def loop() -> None:
        for task_id in range(RECORDS):
            words, row = begin(task_id, 0, now())
            finish(words, row, now(), task_id)

    per_call(benchmark, loop, RECORDS)


def test_an_empty_loop(benchmark: Any) -> None:
    """Times the empty loop that the other loops contain."""

    def loop() -> None:
        for _ in range(RECORDS):
            pass

    per_call(benchmark, loop, RECORDS)


def test_a_bare_call_of_a_task(benchmark: Any) -> None:
    """The floor of `kernel.execute`: the same function, called."""
    _, module = registry.workload("noop")
    task = module.run

    def loop() -> None:
        for task_id in range(RECORDS):
            task(task_id)

    per_call(benchmark, loop, RECORDS)


@pytest.mark.usefixtures("recording")
def test_kernel_execute_of_the_same_task(benchmark: Any) -> None:
    """Times a task with its record, as a worker runs it."""
    execute = execution.execute

    def loop() -> None:
        for task_id in range(RECORDS):
            execute(task_id, "workloads.noop:run", task_id)

    per_call(benchmark, loop, RECORDS)


def test_pacer_lag_at_a_thousand_a_second(benchmark: Any) -> None:
    """Aim: p99 of 0.2 ms on an idle core."""
    plan = offsets_ns(Paced(1_000, rate_hz=1_000.0), 1)
    lags: list[int] = []

    def loop() -> None:
        begin = time.monotonic_ns() + 1_000_000
        lags.extend(time.monotonic_ns() - t for t in pace([begin + offset for offset in plan]))

    benchmark.pedantic(loop, rounds=5)
    lags.sort()
    for percent in (50, 90, 99):
        benchmark.extra_info[f"lag_us_p{percent}"] = lags[len(lags) * percent // 100] / 1e3


@pytest.mark.parametrize("backend", ["null", "inline", "asyncio", "thread-pool", "celery", "rq"])
def test_rate_of_no_ops(benchmark: Any, backend: str, tmp_path: Path) -> None:
    """Aim: `null`, the upper bound of the lab, is at least five times the fastest real system."""
    rates: list[float] = []
    instrumentation_ns = instrumentation_cost.cost_ns()

    def one() -> None:
        spec = spec_of(backend, arrival=Burst(1_000), seed=len(rates), deadline_s=120.0)
        result = collect(
            trial.run_trial(spec, 1, tmp_path / spec.id, lambda _: None, instrumentation_ns),
            CONTEXT,
        )
        tasks = result.tables["task"]
        window, marks = tasks[tasks.phase == "measure"], tasks[tasks.phase.isin(UNINSTRUMENTED)]
        values = trial_metrics(result.row, window, marks=marks)
        rates.extend(m.value for m in values if m.metric == "throughput_per_s" and m.value)

    benchmark.pedantic(one, rounds=5)
    rates.sort()
    benchmark.extra_info["tasks_per_s_median"] = round(rates[len(rates) // 2])
