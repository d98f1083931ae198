"""Draws the median round trip of each backend: from the submit call to the result at the client."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.analysis.labels import MARKERS
from lab.analysis.queries import Tables, points, topology_names, workload_names
from lab.core.cell import TOPOLOGY
from lab.core.model import RoundTrip
from lab.figures.chart import Chart
from lab.figures.disturbed import legend_entries, of_counted, ranked_last
from lab.figures.overhead import ROW_IN, draw_cell, scale
from lab.figures.theme import QUIET, legend_below, panels


def data(tables: Tables) -> pd.DataFrame:
    """Return trials and estimates of the median round trip; y in seconds."""
    rows = points(tables, "round_trip_s_p50")
    rows = rows[rows["arrival"] == RoundTrip.kind]
    rows = rows.assign(panel=workload_names(rows), topology=topology_names(rows))
    return rows.sort_values(["nominal_ns", "workload", "size", *TOPOLOGY], kind="stable")


def draw(frame: pd.DataFrame) -> Figure:
    """Draw one panel per workload, one row per label, one mark per topology; fastest on top."""
    titles, topologies = (list(dict.fromkeys(frame[name])) for name in ("panel", "topology"))
    medians = of_counted(frame).groupby("name")["y"].median().sort_values()
    names = ranked_last(list(medians.index), frame)
    figure, axes = panels(len(titles), 2, (4.6, 1.1 + ROW_IN * len(names)), sharey=True)
    for ax, title in zip(axes, titles, strict=True):
        part = frame[frame["panel"] == title]
        for row, name in enumerate(names):
            for rank, topology in enumerate(topologies):
                cell = part[(part["name"] == name) & (part["topology"] == topology)]
                offset = ((rank + 0.5) / len(topologies) - 0.5) * 0.6
                draw_cell(ax, cell, row + offset, MARKERS[rank % len(MARKERS)])
        ax.set(xlabel="median round trip", title=title)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        scale(ax, part)
    marks = [
        Line2D([], [], color=QUIET, marker=MARKERS[rank % len(MARKERS)], linestyle="", label=name)
        for rank, name in enumerate(topologies)
    ]
    legend_below(figure, [*marks, *legend_entries(frame)])
    return figure


def caption(frame: pd.DataFrame) -> str:
    """Define the round trip, the marks and the bars."""
    text = (
        "From the start of the submit call to the return of the backend's call for the result, one "
        "task at a time. Some clients look for the result at intervals, which is part of it. Faint "
        "marks are medians of trials, large marks are their geometric means. The axis is "
        "logarithmic."
    )
    if frame.loc[frame["kind"] == "estimate", "low"].isna().any():
        text += " A thin line is the range of the trials, if there is no interval."
    return text


ROUND_TRIPS = Chart("round-trip", "Round trip", "valid round-trip trial", data, draw, caption)
