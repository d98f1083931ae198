"""Computes the cost of a task for driver, servers and workers, and the tasks that were lost."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lab.analysis.metrics.metric import Metric, MetricFunction, has_services
from lab.analysis.statistics import RefusedError, Value, proportion
from lab.results.schema import TrialRow


def per_task(column: str, unit: str, scale: float = 1.0) -> MetricFunction:
    """Return the metric function: a count of the window per finished task (METHOD M17d).

    Args:
        column: The column of `trial` that holds the count.
        unit: What is counted, for the method.
        scale: The count in one unit of the metric, such as ns in a second.
    """

    def measure(trial: TrialRow, tasks: pd.DataFrame) -> Value:
        count = getattr(trial, column)
        # Not the offered tasks: a lost one must not make the others look cheaper.
        n = int(tasks["t4_ns"].notna().sum())
        if pd.isna(count) or not n:
            raise RefusedError(f"No {unit} per task: {column} is {count}, {n} tasks finished.")
        return Value(float(count) / scale / n, "", n, f"{unit} of the window / tasks finished")

    return measure


def lost_upper(trial: TrialRow, _tasks: pd.DataFrame) -> Value:
    """Return the upper 95 % bound of the share of tasks lost or never finished (METHOD M28)."""
    # 0 of n lost does not show that none is ever lost: the bound depends on n.
    share = proportion(int(trial.n_censored), int(trial.n_sent))
    return Value(float(share.high or 0.0), "", share.n, f"upper 95 % bound: {share.method}")


def metrics() -> Iterator[Metric]:
    """Yield CPU time, commands and bytes per task, and the bound of lost tasks."""
    for role, about in (
        ("driver", "CPU time per task of the driver and of the workers in its process."),
        ("services", "CPU time of the servers per task."),
        ("workers", "CPU time of the worker processes per task."),
    ):
        name, measure = f"cpu_{role}_s_per_task", per_task(f"cpu_{role}_ns", "CPU time", 1e9)
        # A system without servers has no such cost, which is not the same as a cost of 0.
        if role == "services":
            yield Metric(name, "s", "lower", about, measure, applies=has_services)
        else:
            yield Metric(name, "s", "lower", about, measure)
    yield Metric(
        "broker_commands_per_task",
        "1",
        "lower",
        "Commands that the servers executed per task: see the column broker_commands.",
        per_task("broker_commands", "commands"),
        applies=has_services,
    )
    yield Metric(
        "broker_bytes_per_task",
        "bytes",
        "lower",
        "Bytes that the servers received and sent per task, from their counters.",
        per_task("broker_bytes", "bytes"),
        applies=has_services,
    )
    about = "Upper 95 % bound of the share of tasks lost or never finished."
    yield Metric("lost_upper_95", "1", "lower", about, lost_upper)
