"""The metrics of a trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike

from lab.analysis.metrics.latency import one_row_a_task
from lab.analysis.metrics.registry import METRICS, trial_metrics
from lab.analysis.statistics import proportion
from lab.results import formats
from lab.results.schema import TrialRow
from lab.results.schema.metric import MetricRow
from tests.factories.simulated import trial

S = 1_000_000_000


def window(n: int = 1_000, **seconds: ArrayLike) -> pd.DataFrame:
    """Make executions of n tasks, a NaN among the seconds being a null.

    Intended every 10 ms, sent 1 ms late in 2 ms, started 10 ms and finished 30 ms after that.
    """
    t0 = np.arange(n) / 100
    given = {"t0": t0, "t1": t0 + 1e-3, "t2": t0 + 3e-3, "t3": t0 + 11e-3, "t4": t0 + 41e-3}
    given |= {"t5": np.full(n, np.nan)} | {k: np.asarray(v, float) for k, v in seconds.items()}
    tasks = pd.DataFrame({"task_id": np.arange(n), "outcome": "ok"})
    for name, instants in given.items():
        whole = np.rint(np.nan_to_num(instants) * 1e9).astype("int64")
        tasks[f"{name}_ns"] = pd.array(whole, dtype="Int64")
        tasks.loc[np.isnan(instants), f"{name}_ns"] = pd.NA
    tasks.loc[tasks["t4_ns"].isna(), "outcome"] = "unfinished"
    tasks.loc[tasks["t3_ns"].isna(), "outcome"] = "unstarted"
    return tasks


def told(row: TrialRow, tasks: pd.DataFrame) -> dict[str, MetricRow]:
    """Compute a trial's metrics by name."""
    return {metric.metric: metric for metric in trial_metrics(row, tasks)}


def test_each_name_carries_its_unit_and_says_what_it_is() -> None:
    """A reader of the table needs no other page."""
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.unit in {"s", "1/s", "1", "bytes", "bytes/s"}
        assert ("_s_" in f"{name}_".replace("_per_s_", "")) == (metric.unit == "s"), name
        assert metric.better in {"lower", "higher"}
        assert metric.about.endswith(".")


def test_latencies_are_told_from_the_intended_instant() -> None:
    """The generator's lag is part of what a user waits for (METHOD M6)."""
    found = told(trial(), window())
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
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    assert {(m.bound, m.is_valid, m.n) for m in found.values()} == {("", 1, 1_000)}


def test_latency_is_told_of_paced_arrivals_only() -> None:
    """A burst has a makespan, round trips have round trips, and only a plan has latency (M6)."""
    names = {kind: set(told(trial(kind), window())) for kind in ("burst", "paced", "roundtrip")}
    latencies = {name for name in METRICS if name.startswith(("queue_", "end_", "generator_"))}
    assert latencies
    assert latencies <= names["paced"]
    assert not latencies & (names["burst"] | names["roundtrip"])
    assert {"makespan_s", "overhead_s_per_task"} <= names["burst"]
    assert not {"makespan_s", "overhead_s_per_task", "round_trip_s_p50"} & names["paced"]
    assert {"round_trip_s_p50", "makespan_s"} <= names["roundtrip"]


MODES = [("cpuset", None), ("quota", 0.01), ("quota", 0.5), ("quota", None), ("oversubscribed", 0)]


@pytest.mark.parametrize(("mode", "stopped"), MODES)
def test_latency_is_told_of_whole_cpus_only(mode: str, stopped: float | None) -> None:
    """KAT-12: what a quota or a crowd adds to a wait is not the system's; its throughput stays."""
    is_told = (mode, stopped) in MODES[:2]  # a quota that hardly ever stops a node does not show
    paced = told(trial(node_mode=mode, throttle_ratio=stopped), window())
    seen = np.arange(1_000) / 100 + 0.05
    trips = told(trial("roundtrip", node_mode=mode, throttle_ratio=stopped), window(t5=seen))
    latencies = {name for name in paced if name.startswith(("queue_", "end_"))}
    found = [paced[name] for name in latencies] + [trips["round_trip_s_p50"]]
    assert {metric.value is not None for metric in found} == {is_told}
    assert is_told or all("METHOD M22" in metric.method for metric in found)
    assert paced["throughput_per_s"].value is not None


def test_percentiles_of_few_tasks_are_refused_and_say_why() -> None:
    """KAT-7: below the floor the row is there, without a value, and not valid."""
    found = told(trial(n_sent=661), window(661))
    assert found["end_to_end_s_p95"].value == pytest.approx(0.041)
    refused = found["end_to_end_s_p99"]
    assert (refused.value, refused.is_valid, refused.n) == (None, 0, 661)
    assert refused.method == "p99 needs 662 tasks (METHOD M11); there are 661."
    assert told(trial(n_sent=662), window(662))["end_to_end_s_p99"].value == pytest.approx(0.041)


@pytest.mark.parametrize("how", ["unstarted", "unfinished", "raised", "no row"])
def test_tasks_without_an_answer_are_lower_bounds_however_they_ended(how: str) -> None:
    """With 7 % unanswered p90 is known and p95 is only ">x"; no way to fail makes it better."""
    tasks = window()
    some = tasks["task_id"] % 100 < 7
    ends = {"unstarted": ["t3_ns", "t4_ns"], "unfinished": ["t4_ns"]}.get(how, [])
    tasks.loc[some, ends] = pd.NA
    tasks.loc[some, "outcome"] = how
    found = told(trial(), tasks[~some] if how == "no row" else tasks)
    p90, p95, mean = (found[f"end_to_end_s_{which}"] for which in ("p90", "p95", "mean"))
    assert (p90.bound, p95.bound, mean.bound) == ("", ">", ">")
    assert p90.value == pytest.approx(0.041)
    # The 20th last sent of the 70 was sent at 7.01 s of 100 s; of no row nothing is known.
    assert p95.value == pytest.approx(0.041 if how == "no row" else 92.99)
    assert "70 of 1000 unfinished" in p95.method
    assert p95.n == 1_000


def test_a_task_that_waits_for_ever_has_no_queue_latency_but_a_bound() -> None:
    """Started and unfinished tasks have a queue latency; unstarted ones only exceed theirs."""
    tasks = window()
    tasks.loc[tasks["task_id"] % 10 == 0, ["t4_ns"]] = pd.NA
    assert told(trial(), tasks)["queue_latency_s_p99"].bound == ""
    tasks.loc[tasks["task_id"] % 10 == 0, ["t3_ns"]] = pd.NA
    assert told(trial(), tasks)["queue_latency_s_p99"].bound == ">"


def test_throughput_is_the_rate_of_the_middle_of_the_completions() -> None:
    """Slow first and last tenths do not count; completions need not come in order (M8)."""
    finish = np.concatenate([[0.0] * 9, np.linspace(50, 51, 81), [99.0] * 10])
    shuffled = np.random.default_rng(1).permutation(finish)
    value = told(trial("burst", 100), window(100, t4=shuffled))["throughput_per_s"].value
    assert value == pytest.approx(80.0)


def test_losing_tasks_does_not_make_a_system_quick() -> None:
    """The 90 % completion is of all tasks offered, and without it there is no throughput."""
    finish = np.arange(100.0)
    finish[89:] = np.nan
    refused = told(trial("burst", 100), window(100, t4=finish))["throughput_per_s"]
    assert refused.value is None
    assert refused.method == "Only 89 of 100 tasks finished: no 90 % completion."
    few = told(trial("burst", 19), window(19))["throughput_per_s"]
    assert few.method == "Throughput needs 20 tasks; there are 19."
    at_once = told(trial("burst", 50), window(50, t4=np.ones(50)))["throughput_per_s"]
    assert "one tick" in at_once.method


def burst_of(n: int, makespan_s: float) -> pd.DataFrame:
    """Make a burst whose last task finishes `makespan_s` after the first was submitted."""
    zero = np.zeros(n)
    return window(n, t0=zero, t1=zero + 0.5, t4=0.5 + np.linspace(0.1, makespan_s, n))


def test_overhead_and_efficiency_follow_their_formulas() -> None:
    """100 tasks of 10 ms on 2 workers in 0.8 s: 1.6 worker-seconds for 1.0 of work (M17a)."""
    found = told(trial("burst", 100, nominal_ns=10_000_000), burst_of(100, 0.8))
    assert found["makespan_s"].value == pytest.approx(0.8)
    assert found["overhead_s_per_task"].value == pytest.approx(0.006)
    assert found["efficiency"].value == pytest.approx(1 / 1.6)


def test_a_workload_without_calibrated_work_is_all_overhead() -> None:
    """For no-ops the ideal is zero, and an efficiency would be zero for everyone."""
    found = told(trial("burst", 100), burst_of(100, 0.8))
    assert found["overhead_s_per_task"].value == pytest.approx(0.016)
    assert "w = 0 s" in found["overhead_s_per_task"].method
    assert "efficiency" not in found


def test_a_backend_that_runs_no_task_has_no_overhead_beyond_their_work() -> None:
    """The ceiling of the harness ends a burst of long tasks at once, and saves no work by it."""
    found = told(trial("burst", 100, nominal_ns=10_000_000, executes=0), burst_of(100, 0.2))
    refused = [found["overhead_s_per_task"], found["efficiency"]]
    assert [(metric.value, metric.is_valid) for metric in refused] == [(None, 0)] * 2
    assert all("without running them" in metric.method for metric in refused)
    of_no_ops = told(trial("burst", 100, executes=0), burst_of(100, 0.2))
    assert of_no_ops["overhead_s_per_task"].value == pytest.approx(0.004)


def test_an_unfinished_burst_has_a_makespan_that_is_a_bound_and_no_overhead() -> None:
    """The end of the window is the least it can have taken."""
    tasks = burst_of(100, 0.8)
    tasks.loc[3, "t4_ns"] = pd.NA
    found = told(trial("burst", 100), tasks)
    assert found["makespan_s"].value == pytest.approx(99.5)
    assert found["makespan_s"].bound == ">"
    assert found["overhead_s_per_task"].value is None
    assert "1 of 100 unfinished" in found["overhead_s_per_task"].method
    nothing = told(trial("burst", 0, status="failed", t_end_ns=None), tasks[:0])
    assert {m.value for m in nothing.values()} == {None}


def test_tasks_of_one_batch_call_have_no_submit_cost_of_their_own() -> None:
    """One call for all is not a thousand calls that each took so long."""
    zero = np.zeros(1_000)
    found = told(trial("burst"), window(t0=zero, t1=zero, t2=zero + 5))
    assert found["submit_s_p50"].value is None
    assert "in one call" in found["submit_s_p50"].method


def test_round_trips_end_in_the_submitter_s_hands() -> None:
    """T5 - t0, and a result never seen is a lower bound."""
    seen = np.arange(1_000) / 100 + 0.05
    found = told(trial("roundtrip"), window(t5=seen))
    assert found["round_trip_s_p99"].value == pytest.approx(0.05)
    seen[-20:] = np.nan
    assert told(trial("roundtrip"), window(t5=seen))["round_trip_s_p99"].bound == ">"


def test_cpu_time_is_told_of_services_that_exist() -> None:
    """A counter that could not be read is a refusal; a service that is not there is no metric."""
    assert "cpu_services_s_per_task" not in told(trial(), window())
    assert "broker_commands_per_task" not in told(trial(), window())
    refused = told(trial(services="redis-server 7"), window())["cpu_services_s_per_task"]
    assert refused.value is None
    assert "cpu_services_ns is None" in refused.method


@pytest.mark.parametrize(("n_lost", "n_partial", "k"), [(0, 0, 0), (3, 0, 3), (2, 4, 6)])
def test_losses_are_told_with_their_bound_and_n(n_lost: int, n_partial: int, k: int) -> None:
    """None lost of 1000 is not a loss rate of zero (METHOD M28)."""
    found = told(trial(n_lost=n_lost, n_partial=n_partial), window())["lost_upper_95"]
    assert found.value == proportion(k, 1_000).high
    assert f"{k} of 1000" in found.method


def test_one_row_a_task_is_the_execution_that_answered_first() -> None:
    """Its instants belong together, so the parts of the latency add up."""
    tasks = pd.concat([window(3)] * 3, ignore_index=True)
    tasks["t3_ns"] += np.repeat([0, 2, 1], 3) * S
    tasks["t4_ns"] += np.repeat([0, 2, 1], 3) * S
    tasks.loc[[0, 1], "outcome"] = ["raised", "unfinished"]
    tasks.loc[1, "t4_ns"] = pd.NA
    kept = one_row_a_task(tasks)
    assert sorted(kept["task_id"]) == [0, 1, 2]
    wait = kept.sort_values("task_id")["t3_ns"] - kept.sort_values("task_id")["t0_ns"]
    assert wait.tolist() == [S + 11_000_000, S + 11_000_000, 11_000_000]
    lag, queue, service = (
        kept[end] - kept[start]
        for start, end in (("t0_ns", "t1_ns"), ("t1_ns", "t3_ns"), ("t3_ns", "t4_ns"))
    )
    assert (lag + queue + service == kept["t4_ns"] - kept["t0_ns"]).all()


def test_instants_far_from_zero_keep_their_nanoseconds() -> None:
    """After a year of uptime a float would round an instant to 4 ns."""
    year = 365 * 86_400 * S
    tasks = window()
    for name in ("t0_ns", "t1_ns", "t2_ns", "t3_ns", "t4_ns"):
        tasks[name] += year
    tasks["t4_ns"] = tasks["t3_ns"] + 1
    assert told(trial(t_end_ns=year + 100 * S), tasks)["service_s_p50"].value == 1e-9


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
def test_numbers_of_a_trial_that_cannot_be_used_are_kept_and_marked(
    changes: dict[str, Any], valid: int
) -> None:
    """Nothing is dropped: the value is there, and says whether it counts."""
    found = told(trial(**changes), window())["end_to_end_s_p50"]
    assert found.value == pytest.approx(0.041)
    assert found.is_valid == valid


def test_rows_fit_the_table_with_their_refusals(tmp_path: Path) -> None:
    """What is told of a trial can be written and read back; a refusal is a null."""
    rows = trial_metrics(trial(n_sent=100), window(100))
    written = formats.to_csv("metric", rows, tmp_path, header=True)
    read = formats.from_csv("metric", written, tmp_path)
    assert read["metric"].tolist() == [row.metric for row in rows]
    assert read["value"].isna().sum() == sum(row.value is None for row in rows) > 0
