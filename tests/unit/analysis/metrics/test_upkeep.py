"""What a worker costs by being there, from samples whose answer is known, and from trials."""

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
from lab.validation.trial_row import Collected
from tests.factories.rows import a_row
from tests.factories.trials import run, spec_of

SECOND = 1_000_000_000
MB = 1_000_000
HELD_KIB = 50 * MB // 1_024
MEMORY = "memory_bytes_per_worker_"
Reading = tuple[float, str, str, float]  # seconds, source, metric, value


def trial(**changes: Any) -> TrialRow:
    """A burst from second 0 to 100 on two workers."""
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


def told(row: TrialRow, readings: Iterable[Reading], n_tasks: int = 1_000) -> dict[str, MetricRow]:
    """Compute what these readings say, beside tasks that finish evenly in the window."""
    rows = [("x", round(t * SECOND), s, m, v, "") for t, s, m, v in readings]
    samples = pd.DataFrame(rows, columns=[field.name for field in fields(SampleRow)])
    tasks = pd.DataFrame([a_row("task", task_id=k, outcome="ok") for k in range(n_tasks)])
    tasks["t4_ns"] = np.linspace(0, 100 * SECOND, n_tasks).astype("int64")
    return {m.metric: m for m in trial_metrics(row, tasks, None, samples)}


def held(
    values: dict[float, float], role: str = "workers", metric: str = "pss_bytes"
) -> list[Reading]:
    """Readings of memory at some seconds, with a process of that role."""
    counted: list[Reading] = [(min(values), role, "processes", 1.0)]
    return counted + [(t, role, metric, value) for t, value in values.items()]


def test_each_state_has_its_readings() -> None:
    """Idle is the last before the window, drained the first after it, steady the median within."""
    values = {-2.0: 7.0, -1.0: 10.0, 1.0: 20.0, 2.0: 60.0, 3.0: 30.0, 101.0: 14.0, 102.0: 9.0}
    found = told(trial(), held(values))
    states = {state: found[MEMORY + state].value for state in ("idle", "steady", "peak", "drained")}
    assert states == {"idle": 5.0, "steady": 15.0, "peak": 30.0, "drained": 7.0}
    assert "workers' processes / 2 slots" in found[MEMORY + "idle"].method


def test_where_workers_live_in_the_driver_its_memory_is_told_and_named() -> None:
    """No process of a worker: the driver's, and the method says whose that is."""
    readings: list[Reading] = [*held({-1.0: 8.0}, "driver"), (-1.0, "workers", "processes", 0.0)]
    idle = told(trial(), readings)[MEMORY + "idle"]
    assert idle.value == 4.0
    assert "driver's process, which contains the workers" in idle.method


def test_what_nobody_could_read_is_refused() -> None:
    """Processes elsewhere, readings that are missing or too few: each has its reason."""
    elsewhere = told(trial(), [(1.0, "host", "runnable", 1.0)])[MEMORY + "idle"]
    assert (elsewhere.value, "not visible" in elsewhere.method) == (None, True)
    denied = told(trial(), [(-1.0, "workers", "processes", 2.0)])[MEMORY + "idle"]
    assert (denied.value, denied.method) == (None, "No reading of pss_bytes of workers.")
    short = told(trial(), held({-1.0: 1.0, 50.0: 1.0, 101.0: 1.0}))[MEMORY + "steady"]
    assert (short.value, short.method) == (
        None,
        "The window has 1 readings; at least 3 are needed.",
    )


def test_latency_trials_have_memory_at_their_edges_only() -> None:
    """Of paced trials no steady memory and no slope is asked (METHOD M25)."""
    found = told(trial(arrival=Paced.kind), held({-1.0: 2.0, 101.0: 4.0}))
    asked = {name for name in found if name.startswith(("memory", "leak"))}
    assert asked == {MEMORY + "idle", MEMORY + "drained"}


@pytest.mark.parametrize("slope", [0.0, 480.0, -32.0])
def test_a_leak_is_recovered(slope: float) -> None:
    """So many bytes a task are found, whatever the noise, and lie in the interval that is told."""
    noise = np.random.default_rng(1).normal(0, 4_000, 99)
    values = {float(t): 30 * MB + slope * 10 * t + noise[t - 1] for t in range(1, 100)}
    leak = told(trial(), held(values, metric="anonymous_bytes"))["leak_bytes_per_task"]
    assert leak.value == pytest.approx(slope, abs=10)
    low, _, high = leak.method.rpartition("interval ")[2].partition(" to ")
    assert float(low) < slope < float(high)
    few = told(trial(), held({t: values[t] for t in (1.0, 2.0, 3.0)}, metric="anonymous_bytes"))
    assert few["leak_bytes_per_task"].value is None


def growing(source: str, metric: str, per_s: float) -> list[Reading]:
    """A counter that grows evenly in the window, and by much more before and after it."""
    within: list[Reading] = [(float(t), source, metric, per_s * t) for t in range(1, 100)]
    return [(-1.0, source, metric, -1e6), *within, (101.0, source, metric, 1e9)]


def test_waiting_costs_what_the_counters_grew_in_the_window() -> None:
    """A worker's CPU an hour, wake-ups, commands and bytes a second; of the servers in all."""
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
    found = told(trial(arrival=Idle.kind, services="redis 7"), readings, n_tasks=1)
    values = {name: metric.value for name, metric in found.items() if name.startswith("idle_")}
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


def test_containers_count_their_own_network_and_memory() -> None:
    """Traffic is that of the nodes, whatever the server says; memory is summed over nodes."""
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
    found = told(row, readings, n_tasks=1)
    assert found["idle_network_bytes_per_s"].value == pytest.approx(80.0)
    assert found["anonymous_bytes_per_worker_peak"].value == 20.0
    assert found["idle_broker_commands_per_s"].value is None


def test_servers_tell_their_own_peak() -> None:
    """Redis's own peak, not the largest that was read of it."""
    peak = [(t, "redis", "memory_peak_bytes", 5.0 * MB) for t in (1.0, 2.0)]
    read = [(t, "redis", "memory_bytes", t * MB) for t in (1.0, 2.0)]
    found = told(trial(services="redis 7"), [*peak, *read])["broker_memory_bytes_peak"]
    assert found.value == 5 * MB


def test_a_cold_start_ends_with_the_first_task() -> None:
    """Of processes from their command's start; of pools, what the system took without the lab."""
    known = {"t_first_offer_ns": 5 * SECOND, "t_first_start_ns": 7 * SECOND}
    own = told(trial(t_exec_ns=4 * SECOND, t_first_import_ns=6 * SECOND, **known), [])
    start, imports = own["cold_start_s"], own["cold_import_s"]
    assert (start.value, start.bound, imports.value) == (3.0, "", 2.0)
    pool = told(trial(start_call_ns=SECOND // 2, **known), [])
    assert (pool["cold_start_s"].value, pool["cold_import_s"].value) == (2.5, None)


def test_a_worker_that_waited_for_its_first_task_was_ready_sooner() -> None:
    """The submitter came last: the value is an upper bound, and says so.

    Where a campaign derives its metrics anew, numbers are NumPy's.
    """
    known = {"t_first_offer_ns": 7 * SECOND - 2_000_000, "t_first_start_ns": 7 * SECOND}
    read = {name: np.int64(at) for name, at in {"t_exec_ns": 4 * SECOND, **known}.items()}
    start = told(trial(**read), [])["cold_start_s"]
    assert (start.value, start.bound) == (3.0, "<")
    assert "waited 2 ms" in start.method


def number(found: dict[str, MetricRow], name: str) -> float:
    """Return a number that was told."""
    value = found[name].value
    assert value is not None, found[name].method
    return value


def metrics_of(made: Collected) -> dict[str, MetricRow]:
    """Every number of a trial that was run."""
    tasks = made.tables["task"]
    window = tasks[tasks.phase == "measure"]
    return {m.metric: m for m in trial_metrics(made.row, window, None, made.tables["sample"])}


@pytest.mark.parametrize("label", ["thread-pool", "process-pool"])
def test_what_a_task_holds_is_found(label: str, tmp_path: Path) -> None:
    """A worker that keeps 50 MB has 50 MB more after the window than before it, +- 5 %."""
    made = run(tmp_path, spec_of(label, "hold", Burst(3), size=HELD_KIB, warmup_tasks=0))
    assert (made.row.status, made.row.reason) == ("ok", "")
    found = metrics_of(made)
    idle, drained = (found[MEMORY + state] for state in ("idle", "drained"))
    assert drained.value is not None
    assert idle.value is not None
    assert drained.value - idle.value == pytest.approx(50 * MB, rel=0.05)
    assert ("driver" in idle.method) == (label == "thread-pool")
    assert number(found, "rss_bytes_per_worker_idle") > idle.value
    assert 0 < number(found, "cold_start_s") < 10


def test_workers_that_wait_cost_something_and_nothing_is_lost(tmp_path: Path) -> None:
    """No task is offered, the row is a good one, and tells what waiting and starting cost."""
    made = run(tmp_path, spec_of("celery[threads]", arrival=Idle(3.2)))
    row, found = made.row, metrics_of(made)
    assert (row.status, row.reason, row.n_planned, row.n_sent) == ("ok", "", 0, 0)
    assert row.schedule == "idle for 3.2 s"
    assert (row.t_end_ns or 0) - (row.t_begin_ns or 0) >= 3.2 * SECOND
    costs = {name: number(found, name) for name in found if name.startswith("idle_")}
    assert costs["idle_wakeups_per_s"] > 0
    assert 0 < costs["idle_broker_commands_per_s"] < 100
    assert number(found, "cold_start_s") > number(found, "cold_import_s") > 0
