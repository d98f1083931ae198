"""Draws the queue latency, from a task's due instant to its start, as an ECDF.

Only paced trials are drawn (METHOD M6). Tasks that never started are counted, so that their curve
ends below 1. A percentile is marked only if the sample of every trial supports it (METHOD M11).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from lab.analysis.colours import colour_of
from lab.analysis.labels import each, identify
from lab.analysis.metrics.latency import durations, one_row_per_task
from lab.analysis.queries import Tables, topology_names, usable, window_of, workload_names
from lab.analysis.statistics import Seconds, percentile, sample_floor
from lab.core.cell import CELL, TOPOLOGY
from lab.figures.chart import Chart
from lab.figures.theme import engineering, legend_beside, logarithmic, panels

PERCENTILES = (50, 90, 99)
HALF = 0.5
STEPS = 200  # points per curve: a picture shows no more; tails have additional points
POINT = ["kind", "fraction", "latency_s"]
GROUP = ["panel", "name", "family", "marker", *CELL]


def data(tables: Tables) -> pd.DataFrame:
    """Return the points of the curves and the percentiles that may be marked.

    Returns:
        One row per point: kind (curve or mark), fraction of the tasks that started within
        latency_s, n_tasks, n_started, n_trials, n_noisy, method, and the cell.
    """
    trials = _paced(tables).groupby(GROUP, dropna=False, sort=False)
    cells = [_curve(cell, tables) for _, cell in trials]
    empty = pd.DataFrame(columns=[*GROUP, *POINT, "n_trials"])
    return pd.concat(cells, ignore_index=True) if cells else empty


def _paced(tables: Tables) -> pd.DataFrame:
    """Return the usable trials of paced arrivals, with panel, name and marker."""
    trials = usable(tables["trial"])
    # From all trials, not the usable ones: a subset of labels would get other markers.
    names = identify(tables["trial"])[["label", "name", "marker"]]
    # Tasks of a burst are due at once: their waits measure the size of the burst (METHOD M6).
    trials = trials[trials["arrival"] == "paced"].merge(names, on="label")
    trials = trials.sort_values(["nominal_ns", "workload", "size", "rate_hz", *TOPOLOGY])
    rates = trials["rate_hz"].map("{:g} tasks/s offered".format).astype("str")
    return trials.assign(
        panel=workload_names(trials) + ", " + rates + ", " + topology_names(trials)
    )


def _curve(cell: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Reduce the tasks of one cell's trials to the points of its curve and its marks."""
    parts = [_waits(trial, window_of(tables, trial)) for trial in each(cell)]
    # Pooled tasks give the shape only; an interval over them would be too narrow (METHOD M9).
    waits = np.sort(np.concatenate([started for started, _ in parts]))
    never = np.concatenate([bounds for _, bounds in parts])
    # Pooling must not supply the tasks that a percentile of a single trial needs (METHOD M11).
    smallest = min(len(started) + len(bounds) for started, bounds in parts)
    n = len(waits) + len(never)
    points = [("curve", rank / n, waits[rank - 1]) for rank in _ranks(len(waits))]
    frame = pd.DataFrame([*points, *_marks(waits, never, smallest)], columns=POINT)
    return frame.assign(
        **{name: cell[name].iloc[0] for name in GROUP},
        n_tasks=n,
        n_started=len(waits),
        n_trials=len(cell),
        n_noisy=int((cell["flag"] == "noisy").sum()),
        method="none, tasks are pooled over trials",
    )


def _waits(trial: Any, executions: pd.DataFrame) -> tuple[Seconds, Seconds]:
    return durations(trial, one_row_per_task(executions), "t0_ns", "t3_ns")


def _marks(waits: Seconds, never: Seconds, smallest: int) -> Iterator[tuple[str, float, float]]:
    """Yield the percentiles that each trial supports and no unfinished task can change."""
    for q in PERCENTILES:
        if smallest >= sample_floor(q):
            estimate = percentile(waits, q, never)
            # A percentile among unfinished tasks is only known to exceed a value (METHOD M6).
            if not estimate.bound:
                yield "mark", q / 100, estimate.value


def _ranks(n: int) -> np.ndarray:
    """Return the ranks to draw out of n: evenly spaced, and denser in the upper tail."""
    even = np.linspace(1, n, min(n, STEPS))
    # `geomspace` refuses 0 as an end, and it is possible that no task started.
    tail = n - np.geomspace(1, max(n, 1), min(n, STEPS // 4)) + 1
    return np.unique(np.concatenate([even, tail]).round().astype(int))


def draw(frame: pd.DataFrame) -> Figure:
    """Draw one panel per cell, each with a legend in the order of the medians."""
    titles = list(dict.fromkeys(frame["panel"]))
    figure, axes = panels(len(titles), 1, (9.2, 4.0))
    for ax, title in zip(axes, titles, strict=True):
        part = frame[frame["panel"] == title]
        for _, rows in part.groupby("name"):
            _draw_label(ax, rows)
        _dress(ax, title)
        legend_beside(ax, _legend(part), "tasks in trials")
    return figure


def _draw_label(ax: Axes, rows: pd.DataFrame) -> None:
    curve, marks = rows[rows["kind"] == "curve"], rows[rows["kind"] == "mark"]
    colour = colour_of(rows["family"].iloc[0])
    seconds = curve["latency_s"]
    # An ECDF jumps at each value and is constant up to the next.
    ax.step(seconds, curve["fraction"], where="post", color=colour, linewidth=1.6)
    if curve["n_started"].iloc[0] < curve["n_tasks"].iloc[0]:
        end = curve.iloc[-1]
        ax.plot(end["latency_s"], end["fraction"], "o", color=colour, mfc="white", mew=1.5)
    ax.plot(
        marks["latency_s"],
        marks["fraction"],
        rows["marker"].iloc[0],
        color=colour,
        markeredgecolor="white",
        markersize=7,
        zorder=4,
    )


def _dress(ax: Axes, title: str) -> None:
    logarithmic(ax, "x")
    ax.set(xlabel="queue latency t3 - t0", ylabel="share of tasks", title=title)
    ax.set_ylim(0, 1.02)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 0.9, 0.99])
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    engineering(ax.xaxis, "s")


def _legend(part: pd.DataFrame) -> list[Line2D]:
    curves = part[part["kind"] == "curve"]
    medians = curves[curves["fraction"] >= HALF].groupby("name")["latency_s"].min()
    firsts = curves.drop_duplicates("name").set_index("name")
    # A label of which less than half of the tasks started has no median.
    order = medians.reindex(firsts.index).sort_values(na_position="last").index
    return [
        Line2D(
            [],
            [],
            color=colour_of(row["family"]),
            marker=row["marker"],
            label=f"{name}: {row['n_tasks']:,} in {row['n_trials']}",
        )
        for name, row in firsts.loc[order].iterrows()
    ]


def caption(frame: pd.DataFrame) -> str:
    """Describe curves and marks, and count the tasks that never started."""
    cells = frame[frame["kind"] == "curve"].drop_duplicates(GROUP)
    missing = int((cells["n_tasks"] - cells["n_started"]).sum())
    text = (
        "Share of the tasks that started within a time after the instant at which they were due, "
        "pooled over trials of paced arrivals; the legend has the number of tasks and trials. "
        "Marks are p50, p90 and p99, each only if every trial has enough tasks for it."
    )
    if missing:
        text += f" {missing:,} tasks never started: their curves end below 100 %, at a ring."
    return text


LATENCY = Chart("latency", "Queue latency", "valid trial of paced arrivals", data, draw, caption)
