"""Computes the metrics of groups, chains, priorities and retries from their executions.

One call submits all tasks of a group or a chain, so they have the same instant t1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from lab.analysis.metrics.metric import Metric, MetricFunction
from lab.analysis.statistics import RefusedError, Seconds, Value, percentile
from lab.core.model import Chain, FanOut, Priority, Retry
from lab.results.schema import TrialRow

JOIN = "the return of the backend's join"


def metrics() -> Iterator[Metric]:
    """Yield the metrics of groups, chains, priorities and retries; lower is better for all."""
    of, to = "p50 of: submit call of a", f"to {JOIN}."
    whole, last = join_percentile("t1_ns", 50), join_percentile("t4_ns", 50)
    link = "end of a chain's task to the start of the next."
    early = "Tasks of a chain that started before the previous one had ended."
    overtaken = "Share of pairs in which a task of low priority overtook an urgent one."
    late = "p50 of: delay of a retry beyond the requested one."
    for kind, name, unit, about, measure in (
        (FanOut.kind, "group_s_p50", "s", f"{of} group {to}", whole),
        (FanOut.kind, "join_s_p50", "s", f"p50 of: last task of a group {to}", last),
        (Chain.kind, "chain_s_p50", "s", f"{of} chain {to}", whole),
        (Chain.kind, "link_s_p50", "s", f"p50 of: {link}", link_percentile(50)),
        (Chain.kind, "link_s_p90", "s", f"p90 of: {link}", link_percentile(90)),
        (Chain.kind, "chain_order_violations", "1", early, links_early),
        (Priority.kind, "priority_inversion_ratio", "1", overtaken, inversions),
    ):
        yield Metric(name, unit, "lower", about, measure, (kind,))
    retry, measure = (Retry.kind,), retry_percentile(50)
    yield Metric("retry_late_s_p50", "s", "lower", late, measure, retry, table="execution")


def join_percentile(begin: str, q: float) -> MetricFunction:
    """Return a measure: percentile `q`, over groups, of the seconds from `begin` to the join.

    `begin` is ``"t1_ns"``, the submit call, or ``"t4_ns"``, the end of the group's last task.
    Groups without a join are left out.
    """

    def measure(_trial: TrialRow, tasks: pd.DataFrame) -> Value:
        groups = tasks.groupby("t1_ns").agg(begin=(begin, "max"), join=("t5_ns", "max"))
        groups = groups.dropna()
        return percentile(_seconds(groups["join"] - groups["begin"]), q)

    return measure


def link_percentile(q: float) -> MetricFunction:
    """Return a measure: percentile `q` of the seconds from a link's end to the next one's start."""

    def measure(_trial: TrialRow, tasks: pd.DataFrame) -> Value:
        return percentile(_links(tasks), q)

    return measure


def links_early(_trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the number of chain links that started before the previous one had ended."""
    links = _links(tasks)
    return Value(float((links < 0).sum()), "", links.size, "links that started too early")


def _links(tasks: pd.DataFrame) -> Seconds:
    """Return the seconds from each link's end to the next link's start, chain by chain."""
    # Rows may be in any order; ids are in the order of the links.
    ordered = tasks.sort_values("task_id")
    before = ordered.groupby("t1_ns")["t4_ns"].shift()
    links = _seconds(ordered["t3_ns"] - before)
    return links[~np.isnan(links)]


def inversions(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the share of pairs in which a task of low priority overtook an urgent one.

    A pair is an urgent task and a task of low priority that still waited when the urgent one was
    accepted; it is inverted if the task of low priority started first. The last
    `arrival_param` tasks are urgent.
    """
    ordered = tasks.sort_values("task_id")
    n_urgent = int(trial.arrival_param or 0)
    low = ordered["t3_ns"].iloc[:-n_urgent].dropna().to_numpy("int64")
    pairs = inverted = 0
    urgent = ordered.iloc[-n_urgent:].dropna(subset=["t2_ns", "t3_ns"])
    for accepted_ns, started_ns in zip(urgent["t2_ns"], urgent["t3_ns"], strict=True):
        # From t2: before submit has returned, the system may not know of the urgent task.
        waiting = low > accepted_ns
        pairs += int(waiting.sum())
        inverted += int((waiting & (low < started_ns)).sum())
    if not pairs:
        raise RefusedError("No task of low priority waited when the urgent tasks were accepted.")
    return Value(inverted / pairs, "", pairs, "pairs in which the urgent task started later")


def retry_percentile(q: float) -> MetricFunction:
    """Return a measure: percentile `q`, over executions, of a retry's lateness, seconds.

    The lateness is the time from the end of an execution that raised to the start of the next one,
    minus the requested delay; negative if the retry was early.
    """

    def measure(trial: TrialRow, executions: pd.DataFrame) -> Value:
        ordered = executions.dropna(subset=["t3_ns"]).sort_values(["task_id", "t3_ns"])
        # An execution that was cut off and delivered again is no retry, and has no requested delay.
        raised = ordered["t4_ns"].where(ordered["outcome"] == "raised")
        before = raised.groupby(ordered["task_id"]).shift()
        waited = _seconds(ordered["t3_ns"] - before)
        waited = waited[~np.isnan(waited)]
        if not waited.size:
            raise RefusedError("No task that raised was retried.")
        return percentile(waited - float(trial.arrival_param or 0.0), q)

    return measure


def _seconds(difference_ns: pd.Series) -> Seconds:
    return difference_ns.to_numpy("float64", na_value=np.nan) / 1e9
