"""What a worker costs that waits: how fast counters grow while there is nothing to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from lab.analysis.metrics.samples import (
    Measure,
    Number,
    host_of_workers,
    in_window,
    known,
    readings,
)
from lab.analysis.statistics import RefusedError, Value
from lab.core.model import Idle
from lab.recording.server_stats import BYTES, COMMANDS
from lab.results.schema import TrialRow

HOUR_S = 3_600.0
Source = tuple[str, str]  # and metric


def rate(metric: str, role: str = "", unit_s: float = 1.0) -> Measure:
    """Make the measure: how fast a counter of a role grows, in `unit_s` seconds.

    Without a role it is the workers', for each worker slot.
    """

    def measure(trial: TrialRow, samples: pd.DataFrame) -> Value:
        source, whose = (role, f"of the {role}") if role else host_of_workers(samples)
        slots = 1 if role else trial.workers
        growth, over_s, n = _growth(trial, readings(trial, samples, source, metric))
        method = f"{whose}, over {over_s:.0f} s" + ("" if role else f" / {slots} slots")
        return Value(growth * unit_s / over_s / slots, "", n, method)

    return measure


def _growth(trial: TrialRow, found: pd.DataFrame) -> tuple[float, float, int]:
    """Return by how much a counter grew between its readings in the window, in which seconds."""
    within = in_window(trial, found)
    if within["t_ns"].nunique() < 2:  # noqa: PLR2004 (a difference needs two)
        raise RefusedError("A rate takes two readings in the window, one a second.")
    first, last = within.iloc[0], within.iloc[-1]
    over_s = float(last["t_ns"] - first["t_ns"]) / 1e9
    return float(last["value"] - first["value"]), over_s, len(within)


def commands(trial: TrialRow, samples: pd.DataFrame) -> Value:
    """Return the commands a second that the servers carried out, for each worker slot."""
    return _together(trial, samples, [(s, name) for s in COMMANDS for name in COMMANDS[s]])


def traffic(trial: TrialRow, samples: pd.DataFrame) -> Value:
    """Return the bytes a second to and from the workers, for each worker slot.

    Of nodes in containers by their network counters; else by what the servers count themselves.
    """
    nodes = sorted(s for s in set(samples["source"]) if s.startswith("container:node"))
    counted = [(node, name) for node in nodes for name in ("received_bytes", "sent_bytes")]
    return _together(trial, samples, counted or [(s, name) for s in BYTES for name in BYTES[s]])


def _together(trial: TrialRow, samples: pd.DataFrame, wanted: Sequence[Source]) -> Value:
    pairs = samples[["source", "metric"]].drop_duplicates().itertuples(index=False, name=None)
    told = sorted(set(wanted) & set(pairs))
    known(trial, samples if told else samples.iloc[:0], "that: the servers keep no such count")
    grown = [_growth(trial, readings(trial, samples, *one)) for one in told]
    names = ", ".join(dict.fromkeys(source for source, _ in told))
    value = sum(growth / over_s for growth, over_s, _ in grown) / trial.workers
    return Value(value, "", grown[0][2], f"counted by {names} / {trial.workers} slots")


def numbers() -> Iterator[Number]:
    """Yield the numbers of waiting."""
    for name, unit, about, measure, of in (
        ("cpu_s_per_hour", "s", "CPU time of a waiting worker.", rate("cpu_s", "", HOUR_S), ""),
        ("wakeups_per_s", "1/s", "How often a waiting worker wakes.", rate("wakeups"), ""),
        (
            "services_cpu_s_per_hour",
            "s",
            "CPU time of the servers while all workers wait.",
            rate("cpu_s", "services", HOUR_S),
            "services",
        ),
        (
            "services_wakeups_per_s",
            "1/s",
            "How often the servers wake while all workers wait.",
            rate("wakeups", "services"),
            "services",
        ),
        (
            "broker_commands_per_s",
            "1/s",
            "Commands that the servers carry out for a waiting worker.",
            commands,
            "services",
        ),
        (
            "network_bytes_per_s",
            "bytes/s",
            "Bytes to and from a waiting worker.",
            traffic,
            "services",
        ),
    ):
        yield Number(f"idle_{name}", unit, about, measure, (Idle.kind,), of)
