"""Tests the selection and the metrics of groups, chains, priorities and retries."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lab.analysis.metrics.registry import trial_metrics
from lab.cli.parser import parse
from lab.cli.selection import select
from lab.core.model import Capability, Chain, FanOut, Priority, Retry
from lab.planning import registry
from lab.planning.plan import make_plan
from lab.planning.presets import EXPERIMENTS, PRESETS
from lab.report.summary import summary
from lab.report.workflows import workflow_tables
from lab.results.schema.metric import MetricRow
from tests.factories.campaigns import SYSTEMS, Campaign, campaign
from tests.factories.simulated import trial
from tests.factories.trials import run, spec_of

# The smallest number of samples with a median (METHOD M11).
ENOUGH = 11
INSTANTS = [f"t{n}_ns" for n in range(6)]


def metrics_of(kind: str, shape: float, rows: Sequence[Sequence[Any]]) -> dict[str, MetricRow]:
    """Compute the metrics of executions: task id, outcome, t1 ... t5 in seconds."""
    tasks = pd.DataFrame(
        [(i, outcome, 0, *(None if s is None else s * 10**9 for s in seconds))
         for i, outcome, *seconds in rows],
        columns=["task_id", "outcome", *INSTANTS],
    )  # fmt: skip
    tasks = tasks.astype(dict.fromkeys(INSTANTS, "Int64"))
    row = trial(kind, arrival_param=shape, rate_hz=None, interarrival="")
    return {metric.metric: metric for metric in trial_metrics(row, tasks)}


def test_a_join_is_measured_from_the_call_and_from_the_last_task() -> None:
    """A group is identified by the instant of its submit call; its last task's end counts."""
    rows = [
        (10 * n + member, "ok", t1, t1, t1 + 1, t1 + member + 1, t1 + 8)
        for n, t1 in enumerate(range(10, 10 + 20 * ENOUGH, 20))
        for member in range(3)
    ]
    metrics = metrics_of(FanOut.kind, 3, rows)
    assert (metrics["group_s_p50"].value, metrics["group_s_p50"].n) == (8, ENOUGH)
    assert metrics["join_s_p50"].value == 8 - 3


def test_links_are_measured_in_the_order_of_their_chain() -> None:
    """The order of the rows does not matter; a link that started too early is counted."""
    rows = [(99, "ok", 900, 900, 910, 912, 920), (100, "ok", 900, 900, 911, 913, 920)]
    for n, t1 in enumerate(range(1, 1 + 20 * ENOUGH, 20)):
        for link, start in enumerate((2, 4, 7)):
            rows.append((3 * n + link, "ok", t1, t1, t1 + start, t1 + start + 1, t1 + 19))
    metrics = metrics_of(Chain.kind, 3, rows[::-1])
    assert metrics["link_s_p50"].value == 1
    assert (metrics["chain_order_violations"].value, metrics["chain_order_violations"].n) == (
        1,
        2 * ENOUGH + 1,
    )
    assert metrics["chain_s_p50"].value == 19


def test_inversions_are_pairs_in_which_the_urgent_task_started_later() -> None:
    """A task that ran before the urgent one was accepted did not overtake it."""
    low = [(n, "ok", 0, 1, start, start + 1, None) for n, start in enumerate((5, 20, 30, 40))]
    urgent = [(4, "ok", 9, 10, 25, 26, None)]
    metric = metrics_of(Priority.kind, 1, [*low, *urgent])["priority_inversion_ratio"]
    assert metric.value == pytest.approx(1 / 3)
    assert metric.n == 3


def test_inversions_are_refused_if_no_task_waited() -> None:
    """The metric has no value, and its method has the reason."""
    rows = [(0, "ok", 0, 1, 2, 3, None), (1, "ok", 9, 10, 25, 26, None)]
    metric = metrics_of(Priority.kind, 1, rows)["priority_inversion_ratio"]
    assert metric.value is None
    assert metric.method.startswith("No task of low priority waited")


def test_the_lateness_of_a_retry_excludes_the_requested_delay() -> None:
    """It is the time from the end that raised to the next start, minus the requested delay."""
    rows = []
    for task_id, again in enumerate((16, 18, 14) * ENOUGH):
        rows += [(task_id, "raised", 0, 1, 9, 10, None)]
        rows += [(task_id, "ok", 0, 1, again, again + 1, None)]
    metric = metrics_of(Retry.kind, 5.0, rows)["retry_late_s_p50"]
    assert (metric.value, metric.n) == (1, 3 * ENOUGH)


def test_each_kind_of_workflow_has_a_table() -> None:
    """It is sorted by its first metric."""
    few = tuple(s for s in SYSTEMS if s.variant in {"executor", "worker"})
    bursts = campaign(Campaign(systems=few, cores=(1,), workloads=("noop",), blocks=2))
    as_groups = {"arrival": {"burst": "group"}, "metric": {"makespan_s": "group_s_p50"}}
    tables = {}
    for name in ("trial", "metric", "estimate"):
        changes = {column: new for column, new in as_groups.items() if column in bursts[name]}
        tables[name] = bursts[name].replace(changes)
    for name in ("trial", "estimate"):
        tables[name] = tables[name].assign(arrival_param=10.0)
    (table,) = workflow_tables(tables)
    assert table.title == "Groups of 10 tasks, joined by the backend (noop)"
    assert [row[0] for row in table.rows] == ["thread-pool", "rq"]
    assert {len(row) for row in table.rows} == {len(table.headings)}
    assert {row.numbers["throughput"].text for row in summary(tables)} == {"not measured"}


def cells_of(*words: str) -> list[tuple[str, Any]]:
    """Return workload and arrival of each case that these options select."""
    fixed = ["bench", "-b", "thread-pool", "-b", "celery", "--provider", "local", "--cores", "1"]
    options: argparse.Namespace = parse([*fixed, *words])
    return [(case.workload, case.arrival) for case in select(options, PRESETS["quick"]).cases]


def test_an_arrival_that_no_preset_has_selects_its_workload() -> None:
    """A workload on the command line replaces it."""
    assert cells_of("--arrival", "priority") == [("io", Priority(45, 5))]
    assert cells_of("--arrival", "retry") == [("flaky", Retry(20))]
    assert cells_of("--arrival", "group", "-w", "cpu") == [("cpu", FanOut(200, 10))]
    assert {kind.kind for _, kind in cells_of("--arrival", "burst")} == {"burst"}


def test_workflows_without_support_are_skipped_with_a_reason() -> None:
    """The capabilities of a backend decide."""
    options = parse(["bench", "-b", "threading", "-b", "rq", "-w", "shapes", "--provider", "local"])
    plan = make_plan(select(options, PRESETS["quick"]))
    reasons = {(s.spec.backend, s.spec.arrival): s.reason for s in plan.skips}
    cases = {case.arrival for case in EXPERIMENTS["shapes"].cases}
    assert {arrival for name, arrival in reasons if name == "threading"} == cases
    assert {arrival for name, arrival in reasons if name == "rq"} == {Retry(20, 1.0)}
    assert "has no join" in reasons["threading", FanOut(200, 10)]
    assert "has no chains" in reasons["threading", Chain(100, 5)]
    assert "cannot delay a retry" in reasons["rq", Retry(20, 1.0)]


def test_payloads_grow_to_ten_mebibytes() -> None:
    """Each size has enough tasks for a throughput."""
    cases = EXPERIMENTS["payloads"].cases
    assert [case.size for case in cases][-1] == 10 * 2**20
    assert all(case.arrival.n_tasks >= 20 for case in cases)


@pytest.mark.slow
@pytest.mark.parametrize("label", ["celery", "rq[simple-worker+scheduler]"])
def test_a_delayed_retry_runs(label: str, tmp_path: Path) -> None:
    """Each task raises once and returns once."""
    row = run(tmp_path, spec_of(label, "flaky", Retry(3, 1.0), warmup_tasks=0)).row
    assert (row.status, row.reason, row.n_done, row.n_failed) == ("ok", "", 3, 0)
    assert row.n_duplicated == 0
    assert row.arrival_param == 1.0


def test_every_workflow_is_supported_by_a_backend() -> None:
    """A case without any backend would never run."""
    promised = {c for b in registry.backends().values() for v in b.variants for c in v.capabilities}
    wanted = {Capability.GROUP, Capability.CHAIN, Capability.RETRY_DELAY, Capability.PRIORITY}
    assert wanted <= promised
