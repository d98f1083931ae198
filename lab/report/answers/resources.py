"""What a system takes: time to get ready, bytes on the wire."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lab.figures import Tables
from lab.figures.measured import THROUGHPUT, usable
from lab.figures.theme import each
from lab.model import Burst
from lab.report.answers.answer import Said
from lab.report.answers.evidence import by, cells, listed, names_of, placed, told, trial_rows
from lab.report.wording import digits, seconds
from lab.statistics import interval

PAYLOAD = "payload"


def cold_start(tables: Tables) -> Iterator[Said]:
    """Tell how long each system takes from nothing to its last worker's first right answer."""
    trials = usable(tables["trial"]).dropna(subset=["boot_ns"])
    trials = placed(trials.merge(names_of(tables), on="label"))
    for topology, group in by(trials, "topology"):
        found = [(interval(_boots_s(own)), name) for name, own in by(group, "name")]
        text = listed(
            f"{name} {seconds(boot.value)}"
            + (f" ({seconds(boot.low)} to {seconds(boot.high or 0.0)})" if boot.low else "")
            for boot, name in sorted(found, key=lambda pair: pair[0].value)
        )
        yield Said(f"{topology}, until every worker had answered: {text}.", trial_rows(group))


def _boots_s(trials: pd.DataFrame) -> list[float]:
    return [float(boot_ns) / 1e9 for boot_ns in trials["boot_ns"]]


def payloads(tables: Tables) -> Iterator[Said]:
    """Tell the rate at each size of payload, and what the servers moved for a task."""
    rates = cells(tables, THROUGHPUT)
    rates = rates[(rates["workload"] == PAYLOAD) & (rates["arrival"] == Burst.kind)]
    for place, group in by(rates, "place"):
        order = group.sort_values("estimate", ascending=False)
        text = listed(told(row, digits) for row in each(order))
        yield Said(f"{place}, tasks a second: {text}.", list(order["row"]))
    moved = cells(tables, "broker_bytes_per_task")
    for place, group in by(moved[moved["workload"] == PAYLOAD], "place"):
        text = listed(told(row, digits) for row in each(group))
        yield Said(f"{place}, bytes that the servers moved a task: {text}.", list(group["row"]))
