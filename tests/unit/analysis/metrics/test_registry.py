"""Tests the metrics of a trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike

from lab.analysis.metrics.latency import one_row_per_task
from lab.analysis.metrics.registry import METRICS, trial_metrics
from lab.analysis.statistics import proportion
from lab.results import formats
from lab.results.schema import TrialRow
from lab.results.schema.metric import MetricRow
from tests.factories.simulated import trial

S = 1_000_000_000


def window(n: int = 1_000, **seconds: ArrayLike) -> pd.DataFrame:
    """Make executions of n tasks; NaN becomes null.

    By default a task is due every 10 ms, and t1 to t4 are 1, 3, 11 and 41 ms later.
    """
    t0 = np.arange(n) / 100
    instants_s = {"t0": t0, "t1": t0 + 1e-3, "t2": t0 + 3e-3, "t3": t0 + 11e-3, "t4": t0 + 41e-3}
    instants_s |= {"t5": np.full(n, np.nan)} | {k: np.asarray(v, float) for k, v in seconds.items()}
    tasks = pd.DataFrame({"task_id": np.arange(n), "outcome": "ok"})
    for name, values in instants_s.items():
        whole = np.rint(np.nan_to_num(values) * 1e9).astype("int64")
        tasks[f"{name}_ns"] = pd.array(whole, dtype="Int64")
        tasks.loc[np.isnan(values), f"{name}_ns"] = pd.NA
    tasks.loc[tasks["t4_ns"].isna(), "outcome"] = "unfinished"
    tasks.loc[tasks["t3_ns"].isna(), "outcome"] = "unstarted"
    return tasks


def metrics_of(row: TrialRow, tasks: pd.DataFrame) -> dict[str, MetricRow]:
    """Return the metrics of a trial by name."""
    return {metric.metric: metric for metric in trial_metrics(row, tasks)}


def test_latencies_begin_at_the_intended_instant() -> None:
    """The generator's lag is part of the latency (METHOD M6)."""
    metrics = metrics_of(trial(), window())
    expected = {
        "generator_lag_s_p99": 0.001,
        "submit_s_p50": 0.002,
        "queue_latency_s_p50": 0.011,
        "queue_latency_s_p99": 0.011,
        "queue_latency_s_mean": 0.011,
        "service_s_p50": 0.030,
        "end_to_end_s_p95": 0.041,
        "end_to_end_s_mean": 0.041,
        "throughput_per_s": 100.0,
        "cpu_driver_s_per_task": 0.003,
        "cpu_workers_s_per_task": 0.006,
    }
    assert {name: metrics[name].value for name in expected} == pytest.approx(expected)
    assert {(m.bound, m.is_valid, m.n) for m in metrics.values()} == {("", 1, 1_000)}


def test_only_paced_arrivals_have_latencies() -> None:
    """A burst has a makespan, round trips have round-trip times, paced tasks latencies (M6)."""
    kinds = ("burst", "paced", "round-trip")
    names = {kind: set(metrics_of(trial(kind), window())) for kind in kinds}
    latencies = {name for name in METRICS if name.startswith(("queue_", "end_", "generator_"))}
    assert latencies
    assert latencies <= names["paced"]
    assert not latencies & (names["burst"] | names["round-trip"])
    assert {"makespan_s", "overhead_s_per_task"} <= names["burst"]
    assert not {"makespan_s", "overhead_s_per_task", "round_trip_s_p50"} & names["paced"]
    assert {"round_trip_s_p50", "makespan_s"} <= names["round-trip"]


MODES = [("cpuset", None), ("quota", 0.01), ("quota", 0.5), ("quota", None), ("oversubscribed", 0)]


@pytest.mark.parametrize(("mode", "throttled"), MODES)
def test_latency_needs_whole_cpus(mode: str, throttled: float | None) -> None:
    """KAT-12: latencies under a quota or oversubscription are refused; throughput is not."""
    is_reported = (mode, throttled) in MODES[:2]  # a quota that hardly stops a node has no effect
    paced = metrics_of(trial(node_mode=mode, throttle_ratio=throttled), window())
    received = np.arange(1_000) / 100 + 0.05
    closed = trial("round-trip", node_mode=mode, throttle_ratio=throttled)
    trips = metrics_of(closed, window(t5=received))
    latencies = {name for name in paced if name.startswith(("queue_", "end_"))}
    metrics = [paced[name] for name in latencies] + [trips["round_trip_s_p50"]]
    assert {metric.value is not None for metric in metrics} == {is_reported}
    assert is_reported or all("METHOD M22" in metric.method for metric in metrics)
    assert paced["throughput_per_s"].value is not None


def test_percentiles_of_few_tasks_are_refused_with_the_reason() -> None:
    """KAT-7: below the minimum number of tasks, the row has no value and is not valid."""
    metrics = metrics_of(trial(n_sent=661), window(661))
    assert metrics["end_to_end_s_p95"].value == pytest.approx(0.041)
    refused = metrics["end_to_end_s_p99"]
    assert (refused.value, refused.is_valid, refused.n) == (None, 0, 661)
    assert refused.method == "p99 needs 662 tasks (METHOD M11); there are 661."
    enough = metrics_of(trial(n_sent=662), window(662))["end_to_end_s_p99"]
    assert enough.value == pytest.approx(0.041)


@pytest.mark.parametrize("how", ["unstarted", "unfinished", "raised", "no row"])
def test_tasks_without_an_answer_are_lower_bounds(how: str) -> None:
    """With 7 % unanswered, p90 is known and p95 is ">x", whatever the outcome of those tasks."""
    tasks = window()
    some = tasks["task_id"] % 100 < 7
    ends = {"unstarted": ["t3_ns", "t4_ns"], "unfinished": ["t4_ns"]}.get(how, [])
    tasks.loc[some, ends] = pd.NA
    tasks.loc[some, "outcome"] = how
    metrics = metrics_of(trial(), tasks[~some] if how == "no row" else tasks)
    p90, p95, mean = (metrics[f"end_to_end_s_{which}"] for which in ("p90", "p95", "mean"))
    assert (p90.bound, p95.bound, mean.bound) == ("", ">", ">")
    assert p90.value == pytest.approx(0.041)
    # The 20th last of the 70 was sent at 7.01 s of 100 s; a task without a row has the bound 0.
    assert p95.value == pytest.approx(0.041 if how == "no row" else 92.99)
    assert "70 of 1000 unfinished" in p95.method
    assert p95.n == 1_000


def test_an_unstarted_task_has_a_bound_of_its_queue_latency() -> None:
    """Tasks that started and did not finish have an exact queue latency."""
    tasks = window()
    tasks.loc[tasks["task_id"] % 10 == 0, ["t4_ns"]] = pd.NA
    assert metrics_of(trial(), tasks)["queue_latency_s_p99"].bound == ""
    tasks.loc[tasks["task_id"] % 10 == 0, ["t3_ns"]] = pd.NA
    assert metrics_of(trial(), tasks)["queue_latency_s_p99"].bound == ">"


def test_throughput_is_the_rate_between_10_and_90_percent_completion() -> None:
    """Slow first and last tenths have no effect, nor has the order of completions (M8)."""
    finish = np.concatenate([[0.0] * 9, np.linspace(50, 51, 81), [99.0] * 10])
    shuffled = np.random.default_rng(1).permutation(finish)
    value = metrics_of(trial("burst", 100), window(100, t4=shuffled))["throughput_per_s"].value
    assert value == pytest.approx(80.0)


def test_lost_tasks_do_not_raise_the_throughput() -> None:
    """The 90 % completion counts all offered tasks; without it, throughput is refused."""
    finish = np.arange(100.0)
    finish[89:] = np.nan
    refused = metrics_of(trial("burst", 100), window(100, t4=finish))["throughput_per_s"]
    assert refused.value is None
    assert refused.method == "Only 89 of 100 tasks finished: no 90 % completion."
    few = metrics_of(trial("burst", 19), window(19))["throughput_per_s"]
    assert few.method == "Throughput needs 20 tasks; there are 19."
    at_once = metrics_of(trial("burst", 50), window(50, t4=np.ones(50)))["throughput_per_s"]
    assert "one tick" in at_once.method


def burst_of(n: int, makespan_s: float) -> pd.DataFrame:
    """Make a burst whose last task finishes `makespan_s` after the first was submitted."""
    zero = np.zeros(n)
    return window(n, t0=zero, t1=zero + 0.5, t4=0.5 + np.linspace(0.1, makespan_s, n))


def test_overhead_and_efficiency_follow_their_formulas() -> None:
    """100 tasks of 10 ms on 2 workers in 0.8 s: 1.6 worker-seconds for 1.0 of work (M17a)."""
    metrics = metrics_of(trial("burst", 100, nominal_ns=10_000_000), burst_of(100, 0.8))
    assert metrics["makespan_s"].value == pytest.approx(0.8)
    assert metrics["overhead_s_per_task"].value == pytest.approx(0.006)
    assert metrics["efficiency"].value == pytest.approx(1 / 1.6)


def test_a_workload_without_calibrated_work_is_all_overhead() -> None:
    """The ideal time of no-ops is zero, so every efficiency would be zero."""
    metrics = metrics_of(trial("burst", 100), burst_of(100, 0.8))
    assert metrics["overhead_s_per_task"].value == pytest.approx(0.016)
    assert "w = 0 s" in metrics["overhead_s_per_task"].method
    assert "efficiency" not in metrics


def test_a_function_of_uncertain_duration_has_no_overhead() -> None:
    """Its work is unknown, which is not the same as no work."""
    of_function = trial("burst", 100, workload="shop.images:resize")
    refused = metrics_of(of_function, burst_of(100, 0.8))["overhead_s_per_task"]
    assert (refused.value, refused.is_valid) == (None, 0)
    assert "calls before the run were disturbed or failed" in refused.method


def test_a_backend_that_runs_no_tasks_has_no_overhead_for_tasks_with_work() -> None:
    """The `null` backend ends a burst of long tasks at once, because it does not run them."""
    metrics = metrics_of(trial("burst", 100, nominal_ns=10**7, runs_tasks=0), burst_of(100, 0.2))
    refused = [metrics["overhead_s_per_task"], metrics["efficiency"]]
    assert [(metric.value, metric.is_valid) for metric in refused] == [(None, 0)] * 2
    assert all("without running them" in metric.method for metric in refused)
    of_no_ops = metrics_of(trial("burst", 100, runs_tasks=0), burst_of(100, 0.2))
    assert of_no_ops["overhead_s_per_task"].value == pytest.approx(0.004)


def test_an_unfinished_burst_has_a_lower_bound_of_its_makespan_and_no_overhead() -> None:
    """The bound is the end of the window."""
    tasks = burst_of(100, 0.8)
    tasks.loc[3, "t4_ns"] = pd.NA
    metrics = metrics_of(trial("burst", 100), tasks)
    assert metrics["makespan_s"].value == pytest.approx(99.5)
    assert metrics["makespan_s"].bound == ">"
    assert metrics["overhead_s_per_task"].value is None
    assert "1 of 100 unfinished" in metrics["overhead_s_per_task"].method
    nothing = metrics_of(trial("burst", 0, status="failed", t_end_ns=None), tasks[:0])
    assert {m.value for m in nothing.values()} == {None}


def test_tasks_of_one_batch_call_have_no_submit_time() -> None:
    """The time of the single call is not the time of each task."""
    zero = np.zeros(1_000)
    metrics = metrics_of(trial("burst"), window(t0=zero, t1=zero, t2=zero + 5))
    assert metrics["submit_s_p50"].value is None
    assert "in one call" in metrics["submit_s_p50"].method


def test_round_trips_end_when_the_submitter_has_the_result() -> None:
    """A round trip is t5 - t0; a result that did not arrive gives a lower bound."""
    seen = np.arange(1_000) / 100 + 0.05
    metrics = metrics_of(trial("round-trip"), window(t5=seen))
    assert metrics["round_trip_s_p99"].value == pytest.approx(0.05)
    seen[-20:] = np.nan
    assert metrics_of(trial("round-trip"), window(t5=seen))["round_trip_s_p99"].bound == ">"


def test_cpu_time_of_servers_needs_servers() -> None:
    """An unreadable counter is a refusal; a backend without servers does not have the metric."""
    assert "cpu_services_s_per_task" not in metrics_of(trial(), window())
    assert "broker_commands_per_task" not in metrics_of(trial(), window())
    refused = metrics_of(trial(services="redis-server 7"), window())["cpu_services_s_per_task"]
    assert refused.value is None
    assert "cpu_services_ns is None" in refused.method


@pytest.mark.parametrize("k", [0, 3, 6])
def test_losses_have_a_bound_and_n(k: int) -> None:
    """Without a loss in 1000 tasks, the loss rate may still be above zero (METHOD M28)."""
    metrics = metrics_of(trial(n_censored=k), window())["lost_upper_95"]
    assert metrics.value == proportion(k, 1_000).high
    assert f"{k} of 1000" in metrics.method


def test_one_row_per_task_is_the_execution_that_answered_first() -> None:
    """All instants are of one execution, so the parts of the latency add up."""
    tasks = pd.concat([window(3)] * 3, ignore_index=True)
    tasks["t3_ns"] += np.repeat([0, 2, 1], 3) * S
    tasks["t4_ns"] += np.repeat([0, 2, 1], 3) * S
    tasks.loc[[0, 1], "outcome"] = ["raised", "unfinished"]
    tasks.loc[1, "t4_ns"] = pd.NA
    rows = one_row_per_task(tasks)
    assert sorted(rows["task_id"]) == [0, 1, 2]
    wait = rows.sort_values("task_id")["t3_ns"] - rows.sort_values("task_id")["t0_ns"]
    assert wait.tolist() == [S + 11_000_000, S + 11_000_000, 11_000_000]
    lag, queue, service = (
        rows[end] - rows[start]
        for start, end in (("t0_ns", "t1_ns"), ("t1_ns", "t3_ns"), ("t3_ns", "t4_ns"))
    )
    assert (lag + queue + service == rows["t4_ns"] - rows["t0_ns"]).all()


def test_instants_far_from_zero_keep_their_nanoseconds() -> None:
    """After a year of uptime, a float would round an instant to 4 ns."""
    year = 365 * 86_400 * S
    tasks = window()
    for name in ("t0_ns", "t1_ns", "t2_ns", "t3_ns", "t4_ns"):
        tasks[name] += year
    tasks["t4_ns"] = tasks["t3_ns"] + 1
    assert metrics_of(trial(t_end_ns=year + 100 * S), tasks)["service_s_p50"].value == 1e-9


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({}, 1),
        ({"flag": "noisy"}, 1),
        ({"status": "timeout"}, 1),
        ({"flag": "invalid"}, 0),
        ({"status": "failed"}, 0),
        ({"status": "interrupted"}, 0),
    ],
)
def test_metrics_of_an_unusable_trial_have_values_and_are_not_valid(
    changes: dict[str, Any], valid: int
) -> None:
    """The row has the value, and `is_valid` states whether it may be used."""
    metrics = metrics_of(trial(**changes), window())["end_to_end_s_p50"]
    assert metrics.value == pytest.approx(0.041)
    assert metrics.is_valid == valid


def test_rows_fit_the_table_with_their_refusals(tmp_path: Path) -> None:
    """Metrics can be written and read back; a refused one is null."""
    rows = trial_metrics(trial(n_sent=100), window(100))
    written = formats.to_csv("metric", rows, tmp_path, header=True)
    read = formats.from_csv("metric", written, tmp_path)
    assert read["metric"].tolist() == [row.metric for row in rows]
    assert read["value"].isna().sum() == sum(row.value is None for row in rows) > 0
