"""Draws the wait of tasks against the offered rate: one line for each system.

The p99 is drawn if any trial has enough tasks for it (METHOD M11), otherwise the median. Only
arrivals at a rate are drawn: tasks of a burst are due at once (METHOD M6).
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.analysis.colours import colour_of
from lab.analysis.labels import REFERENCE, each
from lab.analysis.queries import Tables, estimates, points, topology_names, workload_names
from lab.core.cell import CELL
from lab.core.model import Flag, LoadLevel, Paced
from lab.figures.chart import Chart
from lab.figures.disturbed import draw_marks, legend_entries
from lab.figures.theme import (
    engineering,
    label_handles,
    legend_below,
    logarithmic,
    panels,
    ticks_at,
)

MOST_TICKS = 8
PERCENTILES = {"queue_latency_s_p99": "p99", "queue_latency_s_p50": "median"}


def data(tables: Tables) -> pd.DataFrame:
    """Return trials and means of the wait at each offered rate.

    Returns:
        The columns of `points`, and percentile, panel (workload, topology and gaps between
        tasks) and overloaded (share of the trials of a mean whose backlog grew).
    """
    for metric, percentile in PERCENTILES.items():
        rows = points(tables, metric)
        rows = rows[rows["arrival"].isin([Paced.kind, LoadLevel.kind]) & (rows["y"] > 0)]
        if (rows["kind"] != "trial").any():
            return _placed(rows, tables).assign(percentile=percentile)
    return pd.DataFrame(columns=["n_trials"])


def _placed(rows: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    # A backlog also grows where no trial counts, and the wait of such a cell is shown.
    growing = pd.concat(estimates(tables, "overloaded", kind) for kind in ("", Flag.DISTURBED))
    growing = growing[[*CELL, "estimate"]]
    rows = rows.merge(growing.rename(columns={"estimate": "overloaded"}), on=CELL, how="left")
    gaps = rows["interarrival"].fillna("").astype("str")
    return rows.assign(
        overloaded=rows["overloaded"].astype("float64").fillna(0.0),
        panel=workload_names(rows) + ", " + topology_names(rows) + ", " + gaps + " arrivals",
    )


def draw(frame: pd.DataFrame) -> Figure:
    """Draw one panel for each workload and topology; without references, which bound systems."""
    systems = frame[frame["family"] != REFERENCE]
    frame = frame if systems.empty else systems
    titles = list(dict.fromkeys(frame["panel"]))
    figure, axes = panels(len(titles), 2, (5.6, 3.8))
    for ax, title in zip(axes, titles, strict=True):
        for _, rows in frame[frame["panel"] == title].groupby("name"):
            _draw_label(ax, rows)
        logarithmic(ax, "x", "y")
        ax.set(xlabel="tasks per second offered", title=title)
        ax.set(ylabel=f"{frame['percentile'].iloc[0]} of queue latency t3 - t0")
        rates = set(frame.loc[frame["panel"] == title, "rate_hz"])
        # Those of a load sweep are many, and have decades between them.
        if len(rates) > MOST_TICKS:
            engineering(ax.xaxis)
        else:
            ticks_at(ax.xaxis, rates)
        engineering(ax.yaxis, "s")
    handles = label_handles(frame, sorted(set(frame["name"])))
    legend_below(figure, [*handles, *legend_entries(frame)])
    return figure


def _draw_label(ax: Axes, rows: pd.DataFrame) -> None:
    colour, marker = colour_of(rows["family"].iloc[0]), rows["marker"].iloc[0]
    trials = rows[rows["kind"] == "trial"]
    ax.plot(trials["rate_hz"], trials["y"], marker, color=colour, alpha=0.35, markersize=3.5, mew=0)
    means = rows[rows["kind"] == "estimate"].sort_values("rate_hz")
    # Above its capacity, the wait of a system depends on how long tasks are offered (METHOD M8).
    sustained = means[means["overloaded"] == 0]
    ax.plot(sustained["rate_hz"], sustained["y"], color=colour, linewidth=1.4, zorder=3)
    ax.vlines(means["rate_hz"], means["low"], means["high"], color=colour, linewidth=2, zorder=3)
    disturbed = rows[rows["kind"] == Flag.DISTURBED]
    draw_marks(ax, disturbed["rate_hz"], disturbed["y"], marker)
    for mean in each(means):
        face = "white" if mean.overloaded else colour
        ax.plot(mean.rate_hz, mean.y, marker, color=colour, mfc=face, markersize=6, zorder=4)


def caption(frame: pd.DataFrame) -> str:
    """Describe the axes and the hollow marks."""
    return (
        f"The {frame['percentile'].iloc[0]} of queue latency, from the instant at which a task was "
        "due to its start, at each offered rate. Faint marks are trials, large marks are geometric "
        "means. Hollow marks, to which no line leads: the backlog of a trial "
        "grew, so that the latency depends on how long tasks were offered."
    )


WAITS = Chart(
    "waits", "Wait against tasks per second", "trial of paced arrivals", data, draw, caption
)
