"""Groups, chains, priorities and retries: what may be asked, and what their numbers say."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lab.analysis.metrics.registry import trial_metrics
from lab.cli.parser import parser
from lab.cli.selection import select
from lab.core.model import Capability, Chain, FanOut, Priority, Retry
from lab.planning import registry
from lab.planning.plan import make_plan
from lab.planning.presets import GROUPS, PRESETS
from lab.report.summary import summary
from lab.report.workflows import shaped
from lab.results.schema.metric import MetricRow
from tests.factories.campaigns import SYSTEMS, Campaign, campaign
from tests.factories.simulated import trial
from tests.factories.trials import run, spec_of

# The fewest that have a median (METHOD M11).
ENOUGH = 11
INSTANTS = [f"t{n}_ns" for n in range(6)]


def told(kind: str, shape: float, rows: Sequence[Sequence[Any]]) -> dict[str, MetricRow]:
    """Compute the metrics of executions: task id, outcome, t1 ... t5 in seconds."""
    tasks = pd.DataFrame(
        [(i, outcome, 0, *(None if s is None else s * 10**9 for s in seconds))
         for i, outcome, *seconds in rows],
        columns=["task_id", "outcome", *INSTANTS],
    )  # fmt: skip
    tasks = tasks.astype(dict.fromkeys(INSTANTS, "Int64"))
    row = trial(kind, shape=shape, rate_hz=None, gaps="")
    return {metric.metric: metric for metric in trial_metrics(row, tasks)}


def test_a_join_is_told_from_the_call_and_from_the_last_task() -> None:
    """Groups by their one call each, of which there are enough; the last task's end counts."""
    rows = [
        (10 * n + member, "ok", t1, t1, t1 + 1, t1 + member + 1, t1 + 8)
        for n, t1 in enumerate(range(10, 10 + 20 * ENOUGH, 20))
        for member in range(3)
    ]
    found = told(FanOut.kind, 3, rows)
    assert (found["group_s_p50"].value, found["group_s_p50"].n) == (8, ENOUGH)
    assert found["join_s_p50"].value == 8 - 3


def test_links_are_told_in_the_order_of_their_chain() -> None:
    """From end to start, whatever the order of the rows; one that came too early is counted."""
    rows = [(99, "ok", 900, 900, 910, 912, 920), (100, "ok", 900, 900, 911, 913, 920)]
    for n, t1 in enumerate(range(1, 1 + 20 * ENOUGH, 20)):
        for link, start in enumerate((2, 4, 7)):
            rows.append((3 * n + link, "ok", t1, t1, t1 + start, t1 + start + 1, t1 + 19))
    found = told(Chain.kind, 3, rows[::-1])
    assert found["link_s_p50"].value == 1
    assert (found["links_early"].value, found["links_early"].n) == (1, 2 * ENOUGH + 1)
    assert found["chain_s_p50"].value == 19


def test_inversions_are_pairs_in_which_the_urgent_came_later() -> None:
    """Who ran before the urgent one was accepted did not overtake it."""
    low = [(n, "ok", 0, 1, start, start + 1, None) for n, start in enumerate((5, 20, 30, 40))]
    urgent = [(4, "ok", 9, 10, 25, 26, None)]
    found = told(Priority.kind, 1, [*low, *urgent])["inversions"]
    assert found.value == pytest.approx(1 / 3)
    assert found.n == 3


def test_priorities_that_nobody_waited_for_tell_nothing() -> None:
    """Then the number is refused, with the reason."""
    rows = [(0, "ok", 0, 1, 2, 3, None), (1, "ok", 9, 10, 25, 26, None)]
    found = told(Priority.kind, 1, rows)["inversions"]
    assert found.value is None
    assert found.method.startswith("No task of low priority waited")


def test_a_retry_is_late_by_what_exceeds_the_promise() -> None:
    """From the end of what raised to the next start, less the promised delay."""
    rows = []
    for task_id, again in enumerate((16, 18, 14) * ENOUGH):
        rows += [(task_id, "raised", 0, 1, 9, 10, None)]
        rows += [(task_id, "ok", 0, 1, again, again + 1, None)]
    found = told(Retry.kind, 5.0, rows)["retry_late_s_p50"]
    assert (found.value, found.n) == (1, 3 * ENOUGH)


def test_each_shape_has_a_table_of_its_own() -> None:
    """Ranked by its first number; what became of the tasks stands beside it."""
    few = tuple(s for s in SYSTEMS if s.variant in {"pool", "simple-worker"})
    made = campaign(Campaign(systems=few, cores=(1,), workloads=("noop",), blocks=2))
    as_groups = {"arrival": {"burst": "fanout"}, "metric": {"makespan_s": "group_s_p50"}}
    tables = {}
    for name in ("trial", "metric", "estimate"):
        here = {column: new for column, new in as_groups.items() if column in made[name]}
        tables[name] = made[name].replace(here)
    for name in ("trial", "estimate"):
        tables[name] = tables[name].assign(shape=10.0)
    (table,) = shaped(tables)
    assert table.title == "Groups of 10 tasks, joined by the backend (noop)"
    assert [row[0] for row in table.rows] == ["thread-pool", "rq"]
    assert {len(row) for row in table.rows} == {len(table.headings)}
    assert {row.numbers["throughput"].text for row in summary(tables)} == {"not measured"}


def cells_of(*words: str) -> list[tuple[str, Any]]:
    """Return workload and arrival of each cell that these options select."""
    fixed = ["bench", "-b", "thread-pool", "-b", "celery", "--provider", "local", "--cores", "1"]
    options: argparse.Namespace = parser().parse_args([*fixed, *words])
    return [(cell.workload, cell.arrival) for cell in select(options, PRESETS["quick"]).cells]


def test_an_arrival_that_no_preset_has_brings_its_workload() -> None:
    """Unless another is typed."""
    assert cells_of("--arrival", "ranked") == [("io", Priority(45, 5))]
    assert cells_of("--arrival", "retried") == [("flaky", Retry(20))]
    assert cells_of("--arrival", "fanout", "-w", "cpu") == [("cpu", FanOut(200, 10))]
    assert {kind.kind for _, kind in cells_of("--arrival", "burst")} == {"burst"}


def test_the_shapes_are_skipped_where_they_are_not_promised() -> None:
    """Capabilities decide, with a sentence each."""
    options = parser().parse_args(
        ["bench", "-b", "threading", "-b", "rq", "-w", "shapes", "--provider", "local"]
    )
    plan = make_plan(select(options, PRESETS["quick"]))
    reasons = {(s.spec.backend, s.spec.arrival): s.reason for s in plan.skips}
    cells = {cell.arrival for cell in GROUPS["shapes"].cells}
    assert {arrival for name, arrival in reasons if name == "threading"} == cells
    assert {arrival for name, arrival in reasons if name == "rq"} == {Retry(20, 1.0)}
    assert "has no join" in reasons["threading", FanOut(200, 10)]
    assert "has no chains" in reasons["threading", Chain(100, 5)]
    assert "cannot delay a retry" in reasons["rq", Retry(20, 1.0)]


def test_payloads_grow_to_ten_mebibytes() -> None:
    """Each size has enough tasks for a throughput, and warms up with no more."""
    cells = GROUPS["payloads"].cells
    assert [cell.size for cell in cells][-1] == 10 * 2**20
    assert all(cell.arrival.n_tasks >= 20 for cell in cells)


@pytest.mark.slow
@pytest.mark.parametrize("label", ["celery", "rq[simple-worker+scheduler]"])
def test_a_retry_that_is_told_to_wait_comes(label: str, tmp_path: Path) -> None:
    """Each task raises once and returns once; how late, the metric tells."""
    row = run(tmp_path, spec_of(label, "flaky", Retry(3, 1.0), warmup_tasks=0)).row
    assert (row.status, row.reason, row.n_done, row.n_failed) == ("ok", "", 3, 0)
    assert row.n_duplicated == 0
    assert row.shape == 1.0


def test_every_arrival_that_can_be_chosen_has_somebody_who_takes_it() -> None:
    """A capability that nobody promises would be a question to nobody."""
    promised = {c for b in registry.backends().values() for v in b.variants for c in v.capabilities}
    wanted = {Capability.GROUP, Capability.CHAIN, Capability.RETRY_DELAY, Capability.PRIORITY}
    assert wanted <= promised
