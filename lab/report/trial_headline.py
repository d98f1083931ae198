"""Words the most important number of one trial, such as ``12,300 tasks/s``."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lab.analysis.queries import THROUGHPUT
from lab.core.model import Status
from lab.report.limits import most_per_s
from lab.report.number_format import digits, percent, seconds
from lab.results.schema import TrialRow
from lab.results.schema.metric import MetricRow

Format = Callable[[float], str]
# Metric -> its words; the first that the trial has is used. `{}` is the number with its unit.
HEADLINES: dict[str, tuple[str, Format]] = {
    "queue_latency_s_p99": ("wait p99 {}", seconds),
    "queue_latency_s_p50": ("wait p50 {}", seconds),
    "round_trip_s_p50": ("round trip {}", seconds),
    "lateness_s_max": ("late by {}", seconds),
    "group_s_p50": ("group {}", seconds),
    "chain_s_p50": ("chain {}", seconds),
    "priority_inversion_ratio": ("{} overtaken", percent),
    "retry_late_s_p50": ("retry late {}", seconds),
    "idle_wakeups_per_s": ("{} wake-ups/s", digits),
    THROUGHPUT: ("{} tasks/s", digits),
}


def headline(trial: TrialRow, metrics: Iterable[MetricRow]) -> str:
    """Return the number of a trial with its unit, or its status if it has no number."""
    if trial.status != Status.OK:
        return trial.status
    values = {row.metric: row for row in metrics if row.value is not None}
    for name, (words, write) in HEADLINES.items():
        if name in values:
            row = values[name]
            work_ns = trial.nominal_ns if trial.work_ns is None else trial.work_ns
            most = most_per_s(trial.workers, work_ns) if trial.runs_tasks else None
            # One trial has no interval: its number is at most the limit.
            if name == THROUGHPUT and most is not None and float(row.value or 0.0) > most:
                return f"not above {digits(most)}/s"
            return words.format(f"{row.bound}{write(float(row.value or 0.0))}")
    return "no number"
