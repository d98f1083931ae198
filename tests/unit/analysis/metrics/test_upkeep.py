"""Tests the metrics of memory, idle use and cold start, on synthetic samples and real trials."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lab.analysis.metrics.registry import trial_metrics
from lab.core.model import Burst, Idle, Paced
from lab.results.schema import TrialRow
from lab.results.schema.metric import MetricRow
from lab.results.schema.task import SampleRow
from lab.validation.trial_row import TrialResult
from tests.factories.rows import a_row
from tests.factories.trials import run, spec_of

SECOND = 1_000_000_000
MB = 1_000_000
HELD_KIB = 50 * MB // 1_024
MEMORY = "memory_bytes_per_worker_"
Reading = tuple[float, str, str, float]  # seconds, source, metric, value


def trial(**changes: Any) -> TrialRow:
    """Return the row of a burst from second 0 to 100 on two workers."""
    plain = {
        "arrival": "burst",
        "services": "",
        "images": "",
        "workers": 2,
        "n_planned": 1_000,
        "n_sent": 1_000,
        "t_begin_ns": 0,
        "t_end_ns": 100 * SECOND,
        "t_exec_ns": None,
        "status": "ok",
        "flag": "ok",
    }
    row: TrialRow = a_row("trial", **{**plain, **changes})
    return row


def metrics_from(
    row: TrialRow, readings: Iterable[Reading], n_tasks: int = 1_000
) -> dict[str, MetricRow]:
    """Return the metrics of these readings, with tasks that finish evenly in the window."""
    rows = [("x", round(t * SECOND), s, m, v, "") for t, s, m, v in readings]
    samples = pd.DataFrame(rows, columns=[field.name for field in fields(SampleRow)])
    tasks = pd.DataFrame([a_row("task", task_id=k, outcome="ok") for k in range(n_tasks)])
    tasks["t4_ns"] = np.linspace(0, 100 * SECOND, n_tasks).astype("int64")
    return {m.metric: m for m in trial_metrics(row, tasks, None, samples)}


def memory_readings(
    values: dict[float, float], role: str = "workers", metric: str = "pss_bytes"
) -> list[Reading]:
    """Return readings of memory by their seconds, with a process of the role."""
    counted: list[Reading] = [(min(values), role, "processes", 1.0)]
    return counted + [(t, role, metric, value) for t, value in values.items()]


def test_memory_of_each_state_uses_its_readings() -> None:
    """Idle: last before the window; drained: first after it; steady: median; peak: largest."""
    values = {-2.0: 7.0, -1.0: 10.0, 1.0: 20.0, 2.0: 60.0, 3.0: 30.0, 101.0: 14.0, 102.0: 9.0}
    metrics = metrics_from(trial(), memory_readings(values))
    states = {s: metrics[MEMORY + s].value for s in ("idle", "steady", "peak", "drained")}
    assert states == {"idle": 5.0, "steady": 15.0, "peak": 30.0, "drained": 7.0}
    assert "workers' processes / 2 slots" in metrics[MEMORY + "idle"].method


def test_memory_of_workers_in_the_driver_is_the_drivers() -> None:
    """Without worker processes, the value is the driver's memory, and the method states this."""
    readings: list[Reading] = [
        *memory_readings({-1.0: 8.0}, "driver"),
        (-1.0, "workers", "processes", 0.0),
    ]
    idle = metrics_from(trial(), readings)[MEMORY + "idle"]
    assert idle.value == 4.0
    assert "driver's process, which contains the workers" in idle.method


def test_memory_without_enough_readings_is_refused() -> None:
    """Refused: invisible processes, no reading, and too few readings, each with its reason."""
    elsewhere = metrics_from(trial(), [(1.0, "host", "runnable", 1.0)])[MEMORY + "idle"]
    assert (elsewhere.value, "not visible" in elsewhere.method) == (None, True)
    denied = metrics_from(trial(), [(-1.0, "workers", "processes", 2.0)])[MEMORY + "idle"]
    assert (denied.value, denied.method) == (None, "No reading of pss_bytes of workers.")
    short = metrics_from(trial(), memory_readings({-1.0: 1.0, 50.0: 1.0, 101.0: 1.0}))[
        MEMORY + "steady"
    ]
    assert (short.value, short.method) == (
        None,
        "The window has 1 readings; at least 3 are needed.",
    )


def test_paced_trials_have_idle_and_drained_memory_only() -> None:
    """Paced trials have neither steady memory nor a leak metric (METHOD M25)."""
    metrics = metrics_from(trial(arrival=Paced.kind), memory_readings({-1.0: 2.0, 101.0: 4.0}))
    names = {name for name in metrics if name.startswith(("memory", "leak"))}
    assert names == {MEMORY + "idle", MEMORY + "drained"}


@pytest.mark.parametrize("slope", [0.0, 480.0, -32.0])
def test_leak_is_estimated_from_noisy_readings(slope: float) -> None:
    """The estimate is close to the true slope in bytes per task, which the interval contains."""
    noise = np.random.default_rng(1).normal(0, 4_000, 99)
    values = {float(t): 30 * MB + slope * 10 * t + noise[t - 1] for t in range(1, 100)}
    leak = metrics_from(trial(), memory_readings(values, metric="anonymous_bytes"))[
        "leak_bytes_per_task"
    ]
    assert leak.value == pytest.approx(slope, abs=10)
    low, _, high = leak.method.rpartition("interval ")[2].partition(" to ")
    assert float(low) < slope < float(high)
    few = metrics_from(
        trial(), memory_readings({t: values[t] for t in (1.0, 2.0, 3.0)}, metric="anonymous_bytes")
    )
    assert few["leak_bytes_per_task"].value is None


def growing(source: str, metric: str, per_s: float) -> list[Reading]:
    """Return readings of a counter with a constant rate in the window, and jumps outside it."""
    within: list[Reading] = [(float(t), source, metric, per_s * t) for t in range(1, 100)]
    return [(-1.0, source, metric, -1e6), *within, (101.0, source, metric, 1e9)]


def test_idle_metrics_are_growth_rates_in_the_window() -> None:
    """CPU time, wake-ups, commands and bytes are per worker slot; those of servers are totals."""
    readings = [
        (-1.0, "workers", "processes", 2.0),
        *growing("workers", "cpu_s", 0.002),
        *growing("workers", "wakeups", 6.0),
        *growing("services", "cpu_s", 0.001),
        *growing("services", "wakeups", 10.0),
        *growing("redis", "commands", 3.0),
        *growing("redis", "received_bytes", 50.0),
        *growing("redis", "sent_bytes", 14.0),
    ]
    metrics = metrics_from(trial(arrival=Idle.kind, services="redis 7"), readings, n_tasks=1)
    values = {name: metric.value for name, metric in metrics.items() if name.startswith("idle_")}
    assert values == pytest.approx(
        {
            "idle_cpu_s_per_hour": 3.6,
            "idle_wakeups_per_s": 3.0,
            "idle_services_cpu_s_per_hour": 3.6,
            "idle_services_wakeups_per_s": 10.0,
            "idle_broker_commands_per_s": 1.5,
            "idle_network_bytes_per_s": 32.0,
        }
    )


def test_metrics_of_containers_use_the_nodes_counters() -> None:
    """Traffic comes from the nodes, not from the server; memory is the sum over nodes."""
    readings: list[Reading] = [
        *growing("container:node0", "received_bytes", 100.0),
        *growing("container:node0", "sent_bytes", 60.0),
        *growing("redis", "sent_bytes", 1.0),
        *(
            (t, f"container:node{n}", "anonymous_bytes", 10.0 * t)
            for t in (1.0, 2.0)
            for n in (0, 1)
        ),
        (2.0, "container:redis", "anonymous_bytes", 1e9),
    ]
    row = trial(arrival=Idle.kind, services="redis 7", images="node@1")
    metrics = metrics_from(row, readings, n_tasks=1)
    assert metrics["idle_network_bytes_per_s"].value == pytest.approx(80.0)
    assert metrics["anonymous_bytes_per_worker_peak"].value == 20.0
    assert metrics["idle_broker_commands_per_s"].value is None


def test_peak_memory_of_servers_is_their_own_statistic() -> None:
    """The peak that Redis reports has priority over the largest reading."""
    peaks = [(t, "redis", "memory_peak_bytes", 5.0 * MB) for t in (1.0, 2.0)]
    readings = [(t, "redis", "memory_bytes", t * MB) for t in (1.0, 2.0)]
    metrics = metrics_from(trial(services="redis 7"), [*peaks, *readings])
    assert metrics["broker_memory_bytes_peak"].value == 5 * MB


def test_cold_start_ends_with_the_first_task() -> None:
    """For processes it starts with their command; for pools it excludes the lab's own work."""
    instants = {"t_first_offer_ns": 5 * SECOND, "t_first_start_ns": 7 * SECOND}
    row = trial(t_exec_ns=4 * SECOND, t_first_import_ns=6 * SECOND, **instants)
    processes = metrics_from(row, [])
    start, imports = processes["cold_start_s"], processes["cold_import_s"]
    assert (start.value, start.bound, imports.value) == (3.0, "", 2.0)
    pool = metrics_from(trial(start_call_ns=SECOND // 2, **instants), [])
    assert (pool["cold_start_s"].value, pool["cold_import_s"].value) == (2.5, None)


def test_cold_start_is_an_upper_bound_if_the_first_task_started_at_once() -> None:
    """A worker may have been ready before the first task; the method states the wait.

    The instants are of NumPy's type, as in a table that was read from a file.
    """
    instants = {
        "t_exec_ns": 4 * SECOND,
        "t_first_offer_ns": 7 * SECOND - 2_000_000,
        "t_first_start_ns": 7 * SECOND,
    }
    row = trial(**{name: np.int64(instant) for name, instant in instants.items()})
    start = metrics_from(row, [])["cold_start_s"]
    assert (start.value, start.bound) == (3.0, "<")
    assert "waited 2 ms" in start.method


def value_of(metrics: dict[str, MetricRow], name: str) -> float:
    """Return the value of a metric, which must not be refused."""
    value = metrics[name].value
    assert value is not None, metrics[name].method
    return value


def metrics_of(result: TrialResult) -> dict[str, MetricRow]:
    """Return all metrics of a real trial."""
    tasks = result.tables["task"]
    window = tasks[tasks.phase == "measure"]
    return {m.metric: m for m in trial_metrics(result.row, window, None, result.tables["sample"])}


@pytest.mark.parametrize("label", ["thread-pool", "process-pool"])
def test_memory_of_a_real_trial_contains_the_tasks_block(label: str, tmp_path: Path) -> None:
    """A worker that holds 50 MB has 50 MB more after the window than before it, +- 5 %."""
    result = run(tmp_path, spec_of(label, "hold", Burst(3), size=HELD_KIB, warmup_tasks=0))
    assert (result.row.status, result.row.reason) == ("ok", "")
    metrics = metrics_of(result)
    idle, drained = (metrics[MEMORY + state] for state in ("idle", "drained"))
    assert drained.value is not None
    assert idle.value is not None
    assert drained.value - idle.value == pytest.approx(50 * MB, rel=0.05)
    assert ("driver" in idle.method) == (label == "thread-pool")
    assert value_of(metrics, "rss_bytes_per_worker_idle") > idle.value
    assert 0 < value_of(metrics, "cold_start_s") < 10


def test_idle_trial_has_idle_costs_and_cold_start(tmp_path: Path) -> None:
    """No task is offered; the trial is ok, and has metrics of idle workers and of their start."""
    result = run(tmp_path, spec_of("celery[threads]", arrival=Idle(3.2)))
    row, metrics = result.row, metrics_of(result)
    assert (row.status, row.reason, row.n_planned, row.n_sent) == ("ok", "", 0, 0)
    assert row.schedule == "idle for 3.2 s"
    assert (row.t_end_ns or 0) - (row.t_begin_ns or 0) >= 3.2 * SECOND
    costs = {name: value_of(metrics, name) for name in metrics if name.startswith("idle_")}
    assert costs["idle_wakeups_per_s"] > 0
    assert 0 < costs["idle_broker_commands_per_s"] < 100
    assert value_of(metrics, "cold_start_s") > value_of(metrics, "cold_import_s") > 0
