"""Draws the overhead per task of each backend, with the plain function call as reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.analysis.colours import colour_of
from lab.analysis.labels import MARKERS, each
from lab.analysis.queries import (
    OVERHEAD,
    Tables,
    is_grid,
    largest_bursts,
    points,
    topology_names,
    workload_names,
)
from lab.core.backend import INLINE
from lab.core.cell import TOPOLOGY
from lab.core.model import Flag
from lab.figures.chart import Chart
from lab.figures.disturbed import draw_marks, legend_entries, of_counted, ranked_last
from lab.figures.theme import INK, QUIET, engineering, legend_below, logarithmic, panels

ROW_IN = 0.36  # height of a label's row
TICK: Mapping[str, Any] = {
    "color": INK,
    "marker": "|",
    "markersize": 9,
    "mew": 1.6,
    "linestyle": "",
    "zorder": 2,
}


def data(tables: Tables) -> pd.DataFrame:
    """Return trials and estimates of the overhead, with the overhead of the label's reference.

    Workloads with several task durations are left out; `lab.figures.granularity` draws them.
    """
    rows = largest_bursts(points(tables, OVERHEAD))
    rows = rows[~is_grid(rows)]
    references = tables["trial"].drop_duplicates("label").set_index("label")["reference"]
    references = references.str.replace("@default", "")
    rows = rows.assign(
        panel=workload_names(rows),
        topology=topology_names(rows),
        # Without any reference the column would not be text.
        reference=rows["label"].map(references[references != ""]).astype("str"),
    )
    place = ["panel", "topology"]
    least = rows[rows["kind"] == "estimate"][["label", *place, "y"]]
    least = least.assign(reference=least["label"].str.replace("@default", ""))
    least = least.drop(columns="label").rename(columns={"y": "least"})
    # A reference that was not measured is reported as missing (METHOD M18), so no row is dropped.
    return rows.merge(least, on=["reference", *place], how="left")


def draw(frame: pd.DataFrame) -> Figure:
    """Draw one panel per workload, one row per label, one mark per topology; cheapest on top."""
    titles, names = list(dict.fromkeys(frame["panel"])), _ranked(frame)
    topologies = list(dict.fromkeys(frame.sort_values(TOPOLOGY)["topology"]))
    figure, axes = panels(len(titles), 2, (4.6, 1.1 + ROW_IN * len(names)), sharey=True)
    for ax, title in zip(axes, titles, strict=True):
        part = frame[frame["panel"] == title]
        _draw_floor(ax, part)
        for row, name in enumerate(names):
            for rank, topology in enumerate(topologies):
                cell = part[(part["name"] == name) & (part["topology"] == topology)]
                # Marks use 0.6 of a row's height, so that they do not touch the next row's.
                offset = ((rank + 0.5) / len(topologies) - 0.5) * 0.6
                ax.plot(cell["least"].head(1), [row + offset] * len(cell.head(1)), **TICK)
                draw_cell(ax, cell, row + offset, MARKERS[rank % len(MARKERS)])
        ax.set(xlabel="overhead per task", title=title)
        ax.set_yticks(range(len(names)), [_named(frame, name) for name in names])
        # Reversed, because matplotlib counts upwards and the first label belongs on top.
        ax.set_ylim(len(names) - 0.5, -0.5)
        scale(ax, part)
    legend_below(figure, _legend(frame, topologies))
    return figure


def _named(frame: pd.DataFrame, name: str) -> str:
    """Return a label's name, and below it the name of its reference."""
    rows = frame[frame["name"] == name]
    if pd.isna(reference := rows["reference"].iloc[0]):
        return name
    suffix = "" if rows["least"].notna().any() else ", not measured"
    return f"{name}\n({reference}{suffix})"


def _ranked(frame: pd.DataFrame) -> list[str]:
    """Order labels by their cheapest cell in the first panel; labels without one are last."""
    counted = of_counted(frame)
    medians = counted.groupby(["panel", "name", "topology"], sort=False)["y"].median()
    cheapest = medians.groupby(["panel", "name"], sort=False).min().reset_index()
    # Sorted as text, the panels would have another order than in the figure.
    cheapest["panel"] = pd.Categorical(cheapest["panel"], list(dict.fromkeys(frame["panel"])))
    return ranked_last(list(cheapest.sort_values(["panel", "y"])["name"]), frame)


def scale(ax: Axes, part: pd.DataFrame) -> None:
    """Make the axis logarithmic, or print that no value is above zero."""
    # matplotlib warns about a logarithmic axis without a positive value, and shows nothing on it.
    if (part["y"] > 0).any():
        logarithmic(ax, "x")
        engineering(ax.xaxis, "s")
        return
    ax.set_xticks([])
    ax.text(0.5, 0.5, "no value above zero", transform=ax.transAxes, ha="center", color=QUIET)


def _draw_floor(ax: Axes, part: pd.DataFrame) -> None:
    floor = part[(part["kind"] == "estimate") & part["label"].str.startswith(f"{INLINE}[")]
    for value in floor["y"].head(1):
        ax.axvline(value, color=INK, linestyle="--", linewidth=1, zorder=1)


def draw_cell(ax: Axes, cell: pd.DataFrame, row: float, marker: str) -> None:
    """Draw one label at one topology: faint trials, their range or interval, and the mean."""
    if cell.empty:
        return
    colour, trials = colour_of(cell["family"].iloc[0]), cell[cell["kind"] == "trial"]["y"]
    positive = trials[trials > 0]
    ax.plot(positive, np.full(len(positive), row), marker, color=colour, alpha=0.3, markersize=4)
    if len(positive) < len(trials):  # a logarithmic axis cannot show the others
        ax.plot(0.01, row, "<", color=colour, transform=ax.get_yaxis_transform(), markersize=5)
    for mean in each(cell[cell["kind"] == "estimate"]):
        if pd.notna(mean.low) and pd.notna(mean.high):
            ax.hlines(row, mean.low, mean.high, color=colour, linewidth=2.2, zorder=3)
        # With few blocks there is no interval (METHOD M2); the range still shows the spread.
        elif len(positive):
            ax.hlines(row, positive.min(), positive.max(), color=colour, linewidth=0.8, zorder=3)
        if mean.y > 0:
            ax.plot(mean.y, row, marker, color=colour, mec="white", markersize=6.5, zorder=4)
    disturbed = cell[(cell["kind"] == Flag.DISTURBED) & (cell["y"] > 0)]
    draw_marks(ax, disturbed["y"], np.full(len(disturbed), row), marker)


def _legend(frame: pd.DataFrame, topologies: list[str]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=QUIET, marker=MARKERS[rank % len(MARKERS)], linestyle="", label=name)
        for rank, name in enumerate(topologies)
    ]
    if frame["label"].str.startswith(f"{INLINE}[").any():
        handles.append(Line2D([], [], color=INK, linestyle="--", label="plain call (inline)"))
    if frame["least"].notna().any():
        handles.append(Line2D([], [], label="reference (in brackets)", **TICK))
    return [*handles, *legend_entries(frame)]


def caption(frame: pd.DataFrame) -> str:
    """Define the metric, the bars, and the marks outside the logarithmic axis."""
    text = (
        "Worker-seconds per task beyond its calibrated work: (workers x wall time - tasks x work) "
        "/ tasks. Faint marks are trials, large marks are means over trials. The axis is "
        "logarithmic."
    )
    if frame["reference"].notna().any():
        text += (
            " A tick is the overhead of the backend's reference (in brackets) on the same workers "
            "(METHOD M18)."
        )
    trials, cells = frame[frame["kind"] == "trial"], frame[frame["kind"] == "estimate"]
    if cells["low"].isna().any():
        text += " A thin line is the range of the trials, if there is no interval."
    if below := int((trials["y"] <= 0).sum()):
        text += (
            f" In {below} trials the overhead is not above zero: arrowheads on the left mark them."
        )
    return text


OVERHEADS = Chart(
    "overhead", "Overhead per task", "valid trial with an overhead", data, draw, caption
)
