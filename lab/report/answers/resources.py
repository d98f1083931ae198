"""Answers questions about resources: start-up time, memory, idle cost and payloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from lab.analysis.labels import each
from lab.analysis.queries import THROUGHPUT, usable
from lab.analysis.statistics import interval
from lab.core.model import Burst, Idle
from lab.figures import Tables
from lab.report.answers.answer import Sentence
from lab.report.answers.queries import by, cells, estimate_text, names_of, placed, trial_rows
from lab.report.number_format import digits, seconds

PAYLOAD = "payload"
# Metric of an idle trial -> its description.
WAITING = {
    "idle_cpu_s_per_hour": "CPU seconds per hour",
    "idle_wakeups_per_s": "wake-ups per second",
    "idle_broker_commands_per_s": "server commands per second",
}


def cold_start(tables: Tables) -> Iterator[Sentence]:
    """Report each label's time from its start to the first answer of its last worker."""
    trials = usable(tables["trial"]).dropna(subset=["boot_ns"])
    trials = placed(trials.merge(names_of(tables), on="label"))
    for topology, group in by(trials, "topology"):
        boots = [(interval(_boots_s(rows)), name) for name, rows in by(group, "name")]
        parts = [
            f"{name} {seconds(boot.value)}"
            + (f" ({seconds(boot.low)} to {seconds(boot.high or 0.0)})" if boot.low else "")
            for boot, name in sorted(boots, key=lambda pair: pair[0].value)
        ]
        yield Sentence(f"{topology}, until every worker had answered", trial_rows(group), parts)


def _boots_s(trials: pd.DataFrame) -> list[float]:
    return [float(boot_ns) / 1e9 for boot_ns in trials["boot_ns"]]


def memory(tables: Tables) -> Iterator[Sentence]:
    """Report the memory of a ready worker, and its growth per task."""
    for metric, title, write in (
        # PSS counts pages that forked workers share once; RSS counts them for each (METHOD M25).
        ("memory_bytes_per_worker_idle", "MB (PSS) per worker before its tasks", _megabytes),
        ("leak_bytes_per_task", "growth in bytes per task", digits),
    ):
        yield from _listed(tables, metric, Burst.kind, title, write)


def waiting(tables: Tables) -> Iterator[Sentence]:
    """Report the cost of a worker without tasks."""
    for metric, title in WAITING.items():
        yield from _listed(tables, metric, Idle.kind, f"{title} of an idle worker", digits)


def _megabytes(n_bytes: float) -> str:
    return digits(n_bytes / 1e6)


def _listed(
    tables: Tables, metric: str, arrival: str, title: str, write: Callable[[float], str]
) -> Iterator[Sentence]:
    estimates = cells(tables, metric)
    for place, group in by(estimates[estimates["arrival"] == arrival], "place"):
        order = group.sort_values("estimate")
        parts = [estimate_text(row, write) for row in each(order)]
        yield Sentence(f"{place}, {title}", list(order["row"]), parts)


def payloads(tables: Tables) -> Iterator[Sentence]:
    """Report throughput and server traffic per task, by payload size."""
    rates = cells(tables, THROUGHPUT)
    rates = rates[(rates["workload"] == PAYLOAD) & (rates["arrival"] == Burst.kind)]
    for place, group in by(rates, "place"):
        order = group.sort_values("estimate", ascending=False)
        parts = [estimate_text(row, digits) for row in each(order)]
        yield Sentence(f"{place}, tasks per second", list(order["row"]), parts)
    moved = cells(tables, "broker_bytes_per_task")
    for place, group in by(moved[moved["workload"] == PAYLOAD], "place"):
        parts = [estimate_text(row, digits) for row in each(group)]
        yield Sentence(f"{place}, server traffic in bytes per task", list(group["row"]), parts)
