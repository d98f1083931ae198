"""Latency against load: at absolute rates, and at shares of what each system can sustain.

Trials of a load ladder only (METHOD M6, M8). Every trial whose sample supports the percentile is a
point (METHOD M11); means over trials are joined up to the sustainable rate, beyond which a wait
grows for as long as tasks are offered.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.analysis.labels import each
from lab.analysis.metrics.registry import CELL
from lab.analysis.queries import Tables, points, topology_names, usable, workload_names
from lab.core.model import Step
from lab.figures.chart import Chart
from lab.figures.theme import (
    INK,
    QUIET,
    colour_of,
    engineering,
    label_handles,
    legend_below,
    logarithmic,
    panels,
)

PERCENTILES = {f"p{q}": f"queue_latency_s_p{q}" for q in (50, 90, 99)}
LARGEST_SHARE = 1.3


def data(tables: Tables) -> pd.DataFrame:
    """Trials and means of each percentile, with the share of the sustainable rate.

    Returns:
        The columns of `measured.points`, and of each row the percentile, rho, whether the trial
        was overloaded (of a mean: most of its trials), and bound.
    """
    parts = [points(tables, metric).assign(percentile=name) for name, metric in PERCENTILES.items()]
    found = pd.concat(parts, ignore_index=True)
    found = found[found["arrival"] == Step.kind]
    trials = usable(tables["trial"])
    trials = trials[trials["arrival"] == Step.kind]
    told = tables["metric"].merge(
        trials[["trial_id", "attempt", *CELL]], on=["trial_id", "attempt"]
    )
    for name in ("rho", "overloaded"):
        values = told.loc[told["metric"] == name].assign(
            value=lambda t: t["value"].astype("float64")
        )
        of_cell = values.groupby(CELL, dropna=False)["value"].mean().rename(name).reset_index()
        found = found.merge(of_cell, on=CELL, how="left")
        of_trial = values.set_index("trial_id")["value"].to_dict()
        own = found["trial_id"].map(of_trial).astype("float64")
        found[name] = found[name].astype("float64").where(found["kind"] == "estimate", own)
    return found.assign(topology=workload_names(found) + ", " + topology_names(found))


def draw(frame: pd.DataFrame) -> Figure:
    """Draw a row of panels a percentile: over the rate, and over the share of the sustainable."""
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
        _draw_panel(right, part, "rho")
        _dress(left, right, f"{name}, {topology}", name)
    legend_below(figure, _legend(frame))
    return figure


def _draw_panel(ax: Axes, part: pd.DataFrame, x: str) -> None:
    for _, own in part.groupby("name"):
        colour, marker = colour_of(own["family"].iloc[0]), own["marker"].iloc[0]
        trials = own[own["kind"] == "trial"]
        ax.plot(trials[x], trials["y"], marker, color=colour, alpha=0.35, markersize=3.5, mew=0)
        means = own[own["kind"] == "estimate"].sort_values("rate_hz")
        sustained = means[means["rho"] <= 1]
        ax.plot(sustained[x], sustained["y"], color=colour, linewidth=1.4, zorder=3)
        ax.vlines(means[x], means["low"], means["high"], color=colour, linewidth=2, zorder=3)
        for cell in each(means):
            face = "white" if cell.overloaded > 0 else colour
            style = "^" if cell.bound == ">" else marker
            at = getattr(cell, x)
            ax.plot(at, cell.y, style, color=colour, mfc=face, markersize=6, zorder=4)


def _dress(left: Axes, right: Axes, title: str, percentile: str) -> None:
    for ax in (left, right):
        logarithmic(ax, "y")
        ax.set(ylabel=f"{percentile} of queue latency t3 - t0")
        engineering(ax.yaxis, "s")
    logarithmic(left, "x")
    left.set(xlabel="tasks per second offered", title=title)
    engineering(left.xaxis)
    right.set(xlabel="share of the rate that it can sustain", title=" ", xlim=(0, LARGEST_SHARE))
    right.axvline(1, color=INK, linestyle=":", linewidth=1.2, zorder=1)


def _legend(frame: pd.DataFrame) -> list[Line2D]:
    handles = label_handles(frame, sorted(set(frame["name"])))
    if (frame["overloaded"] > 0).any():
        hollow: dict[str, Any] = {"color": QUIET, "marker": "o", "mfc": "white", "linestyle": ""}
        handles.append(Line2D([], [], **hollow, label="a trial was overloaded"))
    if (frame["bound"] == ">").any():
        handles.append(
            Line2D([], [], color=QUIET, marker="^", linestyle="", label=">x: unfinished")
        )
    return handles


def caption(frame: pd.DataFrame) -> str:
    """Say what the axes are, what is hollow, and what is not drawn."""
    overloaded = frame[(frame["kind"] == "trial") & (frame["percentile"] == "p50")]["overloaded"]
    return (
        "Wait from the instant a task was due to its first statement, against the rate offered: in "
        "tasks per second on the left, as a share of the highest rate that the system sustained "
        "on the right. Faint marks are trials, large marks geometric means, bars intervals; "
        "a percentile is drawn only of trials that have the tasks for it. Hollow marks: the "
        f"backlog of a trial grew ({int((overloaded > 0).sum())} trials), so the wait there tells "
        "how long tasks were offered, and no line leads to it."
    )


LOAD = Chart("load", "Latency against load", "trial of a load ladder", data, draw, caption)
