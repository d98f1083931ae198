"""What groups, chains, priorities and retries say: numbers from the executions of their tasks.

The tasks of a group or a chain were handed over in one call, and so have one instant t1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lab.analysis.metrics.latency import Measure
from lab.analysis.statistics import RefusedError, Value, percentile
from lab.core.model import Chained, FanOut, Ranked, Retried
from lab.results.schema import TrialRow

Seconds = NDArray[np.float64]
Number = tuple[str, str, str, str, str, Measure]
"""Kind of arrival, table, name, unit, what it is, and the measure."""

JOIN = "its end as the system's own join tells it"


def numbers() -> Iterator[Number]:
    """Yield the numbers of groups, chains, priorities and retries."""
    of, to = "p50 of: submit call of a", f"to {JOIN}."
    whole, last = join_percentile("t1_ns", 50), join_percentile("t4_ns", 50)
    link = "end of a chain's task to the start of the next."
    yield FanOut.kind, "task", "group_s_p50", "s", f"{of} group {to}", whole
    yield FanOut.kind, "task", "join_s_p50", "s", f"p50 of: last task of a group {to}", last
    yield Chained.kind, "task", "chain_s_p50", "s", f"{of} chain {to}", whole
    for q in (50, 90):
        yield Chained.kind, "task", f"link_s_p{q}", "s", f"p{q} of: {link}", link_percentile(q)
    early = "Tasks of a chain that started before the one before had ended."
    yield Chained.kind, "task", "links_early", "1", early, links_early
    overtaken = "Share of pairs in which a task of low priority overtook an urgent one."
    yield Ranked.kind, "task", "inversions", "1", overtaken, inversions
    late = "p50 of: how much later than promised a task was run again."
    yield Retried.kind, "execution", "retry_late_s_p50", "s", late, retry_percentile(50)


def join_percentile(begin: str, q: float) -> Measure:
    """Make the measure: percentile `q` over groups of the seconds from an instant to the join.

    `begin` is ``"t1_ns"``, of the one call, or ``"t4_ns"``, of which the last of the group counts.
    A group whose join was never seen has none.
    """

    def measure(_trial: TrialRow, tasks: pd.DataFrame) -> Value:
        ends = tasks.groupby("t1_ns").agg(begin=(begin, "max"), seen=("t5_ns", "max"))
        ends = ends.dropna()
        return percentile(_seconds(ends["seen"] - ends["begin"]), q)

    return measure


def link_percentile(q: float) -> Measure:
    """Make the measure: percentile `q` of the seconds from a link's end to the next one's start."""

    def measure(_trial: TrialRow, tasks: pd.DataFrame) -> Value:
        return percentile(_links(tasks), q)

    return measure


def links_early(_trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return how many links of chains started before the one before them had ended."""
    links = _links(tasks)
    return Value(float((links < 0).sum()), "", links.size, "links that started too early")


def _links(tasks: pd.DataFrame) -> Seconds:
    """Return the seconds from each link's end to the next link's start, chain by chain."""
    ordered = tasks.sort_values("task_id")
    before = ordered.groupby("t1_ns")["t4_ns"].shift()
    links = _seconds(ordered["t3_ns"] - before)
    return links[~np.isnan(links)]


def inversions(trial: TrialRow, tasks: pd.DataFrame) -> Value:
    """Return the share of pairs in which a task of low priority overtook an urgent one.

    A pair is an urgent task and one of low priority that still waited when the urgent one had been
    accepted; it is inverted where that one started first. The last `shape` tasks are urgent.
    """
    ordered = tasks.sort_values("task_id")
    n_urgent = int(trial.shape or 0)
    low = ordered["t3_ns"].iloc[:-n_urgent].dropna().to_numpy("int64")
    pairs = inverted = 0
    urgent = ordered.iloc[-n_urgent:].dropna(subset=["t2_ns", "t3_ns"])
    for accepted_ns, started_ns in zip(urgent["t2_ns"], urgent["t3_ns"], strict=True):
        waiting = low > accepted_ns
        pairs += int(waiting.sum())
        inverted += int((waiting & (low < started_ns)).sum())
    if not pairs:
        raise RefusedError("Nothing waited any more when the urgent tasks came.")
    return Value(inverted / pairs, "", pairs, "pairs in which the urgent task started later")


def retry_percentile(q: float) -> Measure:
    """Make the measure: percentile `q` of how much later than promised a task ran again, seconds.

    From the end of the execution that raised to the start of the next, less the promised delay;
    below zero it was early. Of executions, not of tasks.
    """

    def measure(trial: TrialRow, executions: pd.DataFrame) -> Value:
        ordered = executions.dropna(subset=["t3_ns"]).sort_values(["task_id", "t3_ns"])
        raised = ordered["t4_ns"].where(ordered["outcome"] == "raised")
        before = raised.groupby(ordered["task_id"]).shift()
        waited = _seconds(ordered["t3_ns"] - before)
        waited = waited[~np.isnan(waited)]
        if not waited.size:
            raise RefusedError("No task that raised was run again.")
        return percentile(waited - float(trial.shape or 0.0), q)

    return measure


def _seconds(difference_ns: pd.Series) -> Seconds:
    return difference_ns.to_numpy("float64", na_value=np.nan) / 1e9
