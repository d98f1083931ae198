"""Computes the costs of idle workers: the growth rates of counters while no task is offered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from lab.analysis.metrics.metric import Metric, MetricFunction, always, has_services
from lab.analysis.metrics.samples import (
    host_of_workers,
    in_window,
    known,
    of_samples,
    readings,
)
from lab.analysis.statistics import RefusedError, Value
from lab.core.model import Idle
from lab.recording.server_stats import BYTES, COMMANDS
from lab.results.schema import TrialRow

HOUR_S = 3_600.0
Source = tuple[str, str]  # source and metric of a sample


def rate(metric: str, role: str = "", unit_s: float = 1.0) -> MetricFunction:
    """Return the metric function: growth of a role's counter in `unit_s` seconds.

    Without a role, it is the growth of the workers' counter, per worker slot.
    """

    def measure(trial: TrialRow, samples: pd.DataFrame) -> Value:
        source, whose = (role, f"of the {role}") if role else host_of_workers(samples)
        # Servers and driver serve all workers at once: their cost is not that of one slot.
        slots = 1 if role else trial.workers
        growth, over_s, n = _growth(trial, readings(trial, samples, source, metric))
        method = f"{whose}, over {over_s:.0f} s" + ("" if role else f" / {slots} slots")
        return Value(growth * unit_s / over_s / slots, "", n, method)

    return measure


def _growth(trial: TrialRow, counter: pd.DataFrame) -> tuple[float, float, int]:
    """Return a counter's growth in the window, over how many seconds, and from how many readings.

    Raises:
        RefusedError: The window has fewer than two readings.
    """
    within = in_window(trial, counter)
    if within["t_ns"].nunique() < 2:  # noqa: PLR2004 (a difference needs two)
        raise RefusedError("A rate needs two readings in the window; there is one per second.")
    # Divided by the time between readings, not by the window, which begins and ends between two.
    first, last = within.iloc[0], within.iloc[-1]
    over_s = float(last["t_ns"] - first["t_ns"]) / 1e9
    return float(last["value"] - first["value"]), over_s, len(within)


def commands(trial: TrialRow, samples: pd.DataFrame) -> Value:
    """Return the servers' commands per second, per worker slot."""
    return _together(trial, samples, [(s, name) for s in COMMANDS for name in COMMANDS[s]])


def traffic(trial: TrialRow, samples: pd.DataFrame) -> Value:
    """Return the bytes per second to and from the workers, per worker slot.

    The source is the network counters of the nodes' containers, else the servers' own counters.
    """
    # Nodes first: a server's counters include the traffic of the driver.
    nodes = sorted(s for s in set(samples["source"]) if s.startswith("container:node"))
    counted = [(node, name) for node in nodes for name in ("received_bytes", "sent_bytes")]
    return _together(trial, samples, counted or [(s, name) for s in BYTES for name in BYTES[s]])


def _together(trial: TrialRow, samples: pd.DataFrame, wanted: Sequence[Source]) -> Value:
    pairs = samples[["source", "metric"]].drop_duplicates().itertuples(index=False, name=None)
    counters = sorted(set(wanted) & set(pairs))
    known(trial, samples if counters else samples.iloc[:0], "such a counter of the servers")
    growths = [_growth(trial, readings(trial, samples, *counter)) for counter in counters]
    names = ", ".join(dict.fromkeys(source for source, _ in counters))
    value = sum(growth / over_s for growth, over_s, _ in growths) / trial.workers
    return Value(value, "", growths[0][2], f"counted by {names} / {trial.workers} slots")


def metrics() -> Iterator[Metric]:
    """Yield the metrics of idle trials."""
    for name, unit, about, measure, applies in (
        ("cpu_s_per_hour", "s", "CPU time of an idle worker.", rate("cpu_s", "", HOUR_S), always),
        ("wakeups_per_s", "1/s", "Wake-ups of an idle worker.", rate("wakeups"), always),
        (
            "services_cpu_s_per_hour",
            "s",
            "CPU time of the servers while all workers are idle.",
            rate("cpu_s", "services", HOUR_S),
            has_services,
        ),
        (
            "services_wakeups_per_s",
            "1/s",
            "Wake-ups of the servers while all workers are idle.",
            rate("wakeups", "services"),
            has_services,
        ),
        (
            "broker_commands_per_s",
            "1/s",
            "Commands that the servers execute per idle worker.",
            commands,
            has_services,
        ),
        (
            "network_bytes_per_s",
            "bytes/s",
            "Bytes to and from an idle worker.",
            traffic,
            has_services,
        ),
    ):
        yield of_samples(f"idle_{name}", unit, about, measure, (Idle.kind,), applies)
