"""Words the most important number of one trial: ``12,300 tasks/s``, or ``4 lost`` after a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lab.analysis.queries import THROUGHPUT
from lab.core.faults import FaultKind
from lab.core.model import Periodic, Status
from lab.report.fault_results import MISSED, OK, REFUSED, RESULTS
from lab.report.limits import most_per_s
from lab.report.number_format import digits, percent, plural, seconds
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
    """Return the number of a trial with its unit, or its status if it has no number.

    That of a trial with a fault is its worst result, as in the matrix: the latencies of such a
    trial are those of an outage.
    """
    if trial.status != Status.OK:
        return trial.status
    values = {row.metric: row for row in metrics if row.value is not None}
    if trial.fault:
        return _of_fault(trial, values)
    for name, (words, write) in HEADLINES.items():
        if name in values:
            row = values[name]
            work_ns = trial.nominal_ns if trial.work_ns is None else trial.work_ns
            most = most_per_s(trial.workers, work_ns) if trial.runs_tasks else None
            # One trial has no interval: its number is at most the limit.
            if name == THROUGHPUT and most is not None and float(row.value or 0.0) > most:
                return f"at most {digits(most)}/s"
            return words.format(f"{row.bound}{write(float(row.value or 0.0))}")
    return "no number"


def _of_fault(trial: TrialRow, metrics: Mapping[str, MetricRow]) -> str:
    """Return how many tasks, or runs of a job, have the worst result of the trial."""
    if trial.arrival == Periodic.kind:
        runs = [metrics[name] for name in ("missed", "doubled") if name in metrics]
        counts = [(int(row.value or 0), "run", row.metric) for row in runs]
        fine = f"{plural(max((row.n for row in runs), default=0), 'run')} ok"
    else:
        counts = [(getattr(trial, result.count) or 0, "", result.word) for result in RESULTS]
        # Neither acknowledged nor finished: without harm, no others remain.
        counts.append((trial.n_sent - trial.n_done, "", REFUSED.word))
        fine = f"{trial.n_sent:,} {OK.word}"
    for count, noun, word in counts:
        if count > 0:
            return f"{plural(count, noun) if noun else f'{count:,}'} {word}"
    # A fault that hit nothing proves nothing: `ok` would state that the system survived it.
    return fine if trial.n_hits or trial.fault == FaultKind.NONE else MISSED.word
