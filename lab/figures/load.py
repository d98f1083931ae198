"""Draws latency against load, at absolute rates and at fractions of the sustainable rate.

Only trials of a load sweep are drawn (METHOD M6, M8). Every trial whose sample supports the
percentile is a point (METHOD M11). Means over trials are connected up to the sustainable rate;
above it latency depends on how long tasks are offered.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.analysis.colours import colour_of
from lab.analysis.labels import each
from lab.analysis.queries import Tables, points, topology_names, usable, workload_names
from lab.core.cell import CELL
from lab.core.model import Flag, LoadLevel
from lab.figures.chart import Chart
from lab.figures.disturbed import draw_marks, legend_entries
from lab.figures.theme import (
    INK,
    QUIET,
    engineering,
    label_handles,
    legend_below,
    logarithmic,
    panels,
)

PERCENTILES = {f"p{q}": f"queue_latency_s_p{q}" for q in (50, 90, 99)}
# The overload of a sweep is 1.2 times the sustainable rate (METHOD M8).
LARGEST_SHARE = 1.3


def data(tables: Tables) -> pd.DataFrame:
    """Return trials and means of each percentile, with the share of the sustainable rate.

    Returns:
        The columns of `measured.points`, and percentile,
        utilization_of_capacity (share of the sustainable rate) and overloaded (1 or 0; for a
        mean, the share of overloaded trials).
    """
    parts = [points(tables, metric).assign(percentile=name) for name, metric in PERCENTILES.items()]
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[rows["arrival"] == LoadLevel.kind]
    trials = usable(tables["trial"])
    trials = trials[trials["arrival"] == LoadLevel.kind]
    metrics = tables["metric"].merge(
        trials[["trial_id", "attempt", *CELL]], on=["trial_id", "attempt"]
    )
    for name in ("utilization_of_capacity", "overloaded"):
        values = metrics.loc[metrics["metric"] == name].assign(
            value=lambda t: t["value"].astype("float64")
        )
        of_cell = values.groupby(CELL, dropna=False)["value"].mean().rename(name).reset_index()
        # A label without a sustainable rate has no share, but it has points in the left panels.
        rows = rows.merge(of_cell, on=CELL, how="left")
        of_trial = values.set_index("trial_id")["value"].to_dict()
        trial_values = rows["trial_id"].map(of_trial).astype("float64")
        rows[name] = rows[name].astype("float64").where(rows["kind"] == "estimate", trial_values)
    return rows.assign(topology=workload_names(rows) + ", " + topology_names(rows))


def draw(frame: pd.DataFrame) -> Figure:
    """Draw two panels per percentile: over the offered rate, and over its share of capacity."""
    places = [
        (topology, name)
        for topology in dict.fromkeys(frame["topology"])
        for name in PERCENTILES
        if ((frame["topology"] == topology) & (frame["percentile"] == name)).any()
    ]
    figure, axes = panels(2 * len(places), 2, (5.2, 3.3))
    for (topology, name), left, right in zip(places, axes[::2], axes[1::2], strict=True):
        part = frame[(frame["topology"] == topology) & (frame["percentile"] == name)]
        _draw_panel(left, part, "rate_hz")
        _draw_panel(right, part, "utilization_of_capacity")
        _dress(left, right, f"{name}, {topology}", name)
    legend_below(figure, _legend(frame))
    return figure


def _draw_panel(ax: Axes, part: pd.DataFrame, x: str) -> None:
    for _, rows in part.groupby("name"):
        colour, marker = colour_of(rows["family"].iloc[0]), rows["marker"].iloc[0]
        trials = rows[rows["kind"] == "trial"]
        ax.plot(trials[x], trials["y"], marker, color=colour, alpha=0.35, markersize=3.5, mew=0)
        disturbed = rows[rows["kind"] == Flag.DISTURBED]
        draw_marks(ax, disturbed[x], disturbed["y"], marker)
        means = rows[rows["kind"] == "estimate"].sort_values("rate_hz")
        sustained = means[means["utilization_of_capacity"] <= 1]
        ax.plot(sustained[x], sustained["y"], color=colour, linewidth=1.4, zorder=3)
        ax.vlines(means[x], means["low"], means["high"], color=colour, linewidth=2, zorder=3)
        for cell in each(means):
            # With one overloaded trial the mean depends on the length of the load (METHOD M8).
            face = "white" if cell.overloaded > 0 else colour
            style = "^" if cell.bound == ">" else marker
            at = getattr(cell, x)
            ax.plot(at, cell.y, style, color=colour, mfc=face, markersize=6, zorder=4)


def _dress(left: Axes, right: Axes, title: str, percentile: str) -> None:
    for ax in (left, right):
        # A new scale replaces locator and formatter of its axis, so it is set before the labels.
        logarithmic(ax, "y")
        ax.set(ylabel=f"{percentile} of queue latency t3 - t0")
        engineering(ax.yaxis, "s")
    logarithmic(left, "x")
    left.set(xlabel="tasks per second offered", title=title)
    engineering(left.xaxis)
    right.set(xlabel="share of the sustainable rate", title=" ", xlim=(0, LARGEST_SHARE))
    right.axvline(1, color=INK, linestyle=":", linewidth=1.2, zorder=1)


def _legend(frame: pd.DataFrame) -> list[Line2D]:
    handles = label_handles(frame, sorted(set(frame["name"])))
    if (frame["overloaded"] > 0).any():
        hollow: dict[str, Any] = {"color": QUIET, "marker": "o", "mfc": "white", "linestyle": ""}
        handles.append(Line2D([], [], **hollow, label="a trial was overloaded"))
    if (frame["bound"] == ">").any():
        handles.append(
            Line2D(
                [], [], color=QUIET, marker="^", linestyle="", label="lower bound: unfinished tasks"
            )
        )
    return [*handles, *legend_entries(frame)]


def caption(frame: pd.DataFrame) -> str:
    """Describe the axes, the hollow marks, and which percentiles are drawn."""
    # A trial has a row for each percentile; the p50 needs the fewest tasks, so it has most trials.
    overloaded = frame[(frame["kind"] == "trial") & (frame["percentile"] == "p50")]["overloaded"]
    return (
        "Queue latency, from the instant at which a task was due to its start, against the offered "
        "rate: in tasks per second on the left, as a share of the sustainable rate on the right. "
        "Faint marks are trials, large marks are geometric means; a percentile "
        "is drawn only for trials with enough tasks. Hollow marks: the backlog of a trial grew "
        f"({int((overloaded > 0).sum())} trials), so that the latency depends on how long tasks "
        "were offered; no line leads to these marks."
    )


LOAD = Chart("load", "Latency against load", "trial of a load sweep", data, draw, caption)
