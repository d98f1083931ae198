"""What a system takes: time to get ready, memory, what waiting costs, bytes on the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from lab.analysis.labels import each
from lab.analysis.queries import THROUGHPUT, usable
from lab.analysis.statistics import interval
from lab.core.model import Burst, Idle
from lab.figures import Tables
from lab.report.answers.answer import Said
from lab.report.answers.queries import by, cells, names_of, placed, told, trial_rows
from lab.report.number_format import digits, seconds

PAYLOAD = "payload"
# Metric of an idle trial -> what it is, in words.
WAITING = {
    "idle_cpu_s_per_hour": "CPU seconds an hour",
    "idle_wakeups_per_s": "wake-ups a second",
    "idle_broker_commands_per_s": "commands to the servers a second",
}


def cold_start(tables: Tables) -> Iterator[Said]:
    """Tell how long each system takes from nothing to its last worker's first right answer."""
    trials = usable(tables["trial"]).dropna(subset=["boot_ns"])
    trials = placed(trials.merge(names_of(tables), on="label"))
    for topology, group in by(trials, "topology"):
        found = [(interval(_boots_s(own)), name) for name, own in by(group, "name")]
        parts = [
            f"{name} {seconds(boot.value)}"
            + (f" ({seconds(boot.low)} to {seconds(boot.high or 0.0)})" if boot.low else "")
            for boot, name in sorted(found, key=lambda pair: pair[0].value)
        ]
        yield Said(f"{topology}, until every worker had answered", trial_rows(group), parts)


def _boots_s(trials: pd.DataFrame) -> list[float]:
    return [float(boot_ns) / 1e9 for boot_ns in trials["boot_ns"]]


def memory(tables: Tables) -> Iterator[Said]:
    """Tell the memory of a worker that is ready, and how much more it is with each task."""
    for metric, words, write in (
        ("memory_bytes_per_worker_idle", "MB (PSS) of a worker before its tasks", _megabytes),
        ("leak_bytes_per_task", "growth in bytes a task", digits),
    ):
        yield from _listed(tables, metric, Burst.kind, words, write)


def waiting(tables: Tables) -> Iterator[Said]:
    """Tell what a worker costs while there is nothing to do."""
    for metric, words in WAITING.items():
        yield from _listed(tables, metric, Idle.kind, f"{words} of a waiting worker", digits)


def _megabytes(n_bytes: float) -> str:
    return digits(n_bytes / 1e6)


def _listed(
    tables: Tables, metric: str, arrival: str, words: str, write: Callable[[float], str]
) -> Iterator[Said]:
    found = cells(tables, metric)
    for place, group in by(found[found["arrival"] == arrival], "place"):
        order = group.sort_values("estimate")
        parts = [told(row, write) for row in each(order)]
        yield Said(f"{place}, {words}", list(order["row"]), parts)


def payloads(tables: Tables) -> Iterator[Said]:
    """Tell the rate at each size of payload, and what the servers moved for a task."""
    rates = cells(tables, THROUGHPUT)
    rates = rates[(rates["workload"] == PAYLOAD) & (rates["arrival"] == Burst.kind)]
    for place, group in by(rates, "place"):
        order = group.sort_values("estimate", ascending=False)
        parts = [told(row, digits) for row in each(order)]
        yield Said(f"{place}, tasks a second", list(order["row"]), parts)
    moved = cells(tables, "broker_bytes_per_task")
    for place, group in by(moved[moved["workload"] == PAYLOAD], "place"):
        parts = [told(row, digits) for row in each(group)]
        yield Said(f"{place}, bytes that the servers moved a task", list(group["row"]), parts)
