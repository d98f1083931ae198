"""Overhead per task: what a system adds to the work itself, beside the plain call as the floor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.analysis.labels import MARKERS, each
from lab.analysis.queries import (
    OVERHEAD,
    TOPOLOGY,
    Tables,
    is_grid,
    largest_bursts,
    points,
    topology_names,
    workload_names,
)
from lab.analysis.sweeps.scaling import INLINE
from lab.figures.chart import Chart
from lab.figures.theme import INK, QUIET, colour_of, engineering, legend_below, logarithmic, panels

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
    """Trials and estimates of the overhead, with panel, topology, and what its ceiling costs.

    Grids have a figure of their own.
    """
    found = largest_bursts(points(tables, OVERHEAD))
    found = found[~is_grid(found)]
    ceilings = tables["trial"].drop_duplicates("label").set_index("label")["ceiling"]
    ceilings = ceilings.str.removesuffix("@default")
    found = found.assign(
        panel=workload_names(found),
        topology=topology_names(found),
        # Text also where no label has one.
        ceiling=found["label"].map(ceilings[ceilings != ""]).astype("str"),
    )
    place = ["panel", "topology"]
    least = found[found["kind"] == "estimate"][["label", *place, "y"]]
    least = least.assign(ceiling=least["label"].str.removesuffix("@default"))
    least = least.drop(columns="label").rename(columns={"y": "least"})
    return found.merge(least, on=["ceiling", *place], how="left")


def draw(frame: pd.DataFrame) -> Figure:
    """Draw one panel a workload, one row a label, one mark a topology; cheapest at the top."""
    titles, names = list(dict.fromkeys(frame["panel"])), _ranked(frame)
    topologies = list(dict.fromkeys(frame.sort_values(TOPOLOGY)["topology"]))
    figure, axes = panels(len(titles), 2, (4.6, 1.1 + ROW_IN * len(names)), sharey=True)
    for ax, title in zip(axes, titles, strict=True):
        part = frame[frame["panel"] == title]
        _draw_floor(ax, part)
        for row, name in enumerate(names):
            for rank, topology in enumerate(topologies):
                own = part[(part["name"] == name) & (part["topology"] == topology)]
                aside = ((rank + 0.5) / len(topologies) - 0.5) * 0.6
                ax.plot(own["least"].head(1), [row + aside] * len(own.head(1)), **TICK)
                draw_cell(ax, own, row + aside, MARKERS[rank % len(MARKERS)])
        ax.set(xlabel="overhead per task", title=title)
        ax.set_yticks(range(len(names)), [_named(frame, name) for name in names])
        ax.set_ylim(len(names) - 0.5, -0.5)
        scale(ax, part)
    legend_below(figure, _legend(frame, topologies))
    return figure


def _named(frame: pd.DataFrame, name: str) -> str:
    """Name a row, and below it the ceiling that it is compared with."""
    own = frame[frame["name"] == name]
    if pd.isna(ceiling := own["ceiling"].iloc[0]):
        return name
    lacks = "" if own["least"].notna().any() else ", not measured"
    return f"{name}\n({ceiling}{lacks})"


def _ranked(frame: pd.DataFrame) -> list[str]:
    """Order labels by their cheapest cell in the first panel, those that are not in it last."""
    medians = frame.groupby(["panel", "name", "topology"], sort=False)["y"].median()
    cheapest = medians.groupby(["panel", "name"], sort=False).min().reset_index()
    cheapest["panel"] = pd.Categorical(cheapest["panel"], list(dict.fromkeys(frame["panel"])))
    return list(dict.fromkeys(cheapest.sort_values(["panel", "y"])["name"]))


def scale(ax: Axes, part: pd.DataFrame) -> None:
    """Make the axis of costs logarithmic, or say that nothing lies above zero."""
    if (part["y"] > 0).any():
        logarithmic(ax, "x")
        engineering(ax.xaxis, "s")
        return
    ax.set_xticks([])
    ax.text(0.5, 0.5, "nothing above zero", transform=ax.transAxes, ha="center", color=QUIET)


def _draw_floor(ax: Axes, part: pd.DataFrame) -> None:
    floor = part[(part["kind"] == "estimate") & part["label"].str.startswith(f"{INLINE}[")]
    for value in floor["y"].head(1):
        ax.axvline(value, color=INK, linestyle="--", linewidth=1, zorder=1)


def draw_cell(ax: Axes, own: pd.DataFrame, row: float, marker: str) -> None:
    """Draw one label at one topology: faint trials, their range or interval, and the mean."""
    if own.empty:
        return
    colour, trials = colour_of(own["family"].iloc[0]), own[own["kind"] == "trial"]["y"]
    shown = trials[trials > 0]
    ax.plot(shown, np.full(len(shown), row), marker, color=colour, alpha=0.3, markersize=4)
    if len(shown) < len(trials):  # a log axis has no place for them
        ax.plot(0.01, row, "<", color=colour, transform=ax.get_yaxis_transform(), markersize=5)
    for cell in each(own[own["kind"] == "estimate"]):
        if pd.notna(cell.low) and pd.notna(cell.high):
            ax.hlines(row, cell.low, cell.high, color=colour, linewidth=2.2, zorder=3)
        elif len(shown):
            ax.hlines(row, shown.min(), shown.max(), color=colour, linewidth=0.8, zorder=3)
        if cell.y > 0:
            ax.plot(cell.y, row, marker, color=colour, mec="white", markersize=6.5, zorder=4)


def _legend(frame: pd.DataFrame, topologies: list[str]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=QUIET, marker=MARKERS[rank % len(MARKERS)], linestyle="", label=name)
        for rank, name in enumerate(topologies)
    ]
    if frame["label"].str.startswith(f"{INLINE}[").any():
        handles.append(Line2D([], [], color=INK, linestyle="--", label="plain call (inline)"))
    if frame["least"].notna().any():
        handles.append(Line2D([], [], label="its ceiling (named below it)", **TICK))
    return handles


def caption(frame: pd.DataFrame) -> str:
    """Say what the number means, what the bars are, and what a log axis cannot show."""
    text = (
        "Worker-seconds each task costs beyond its calibrated work: (workers x wall time - tasks x "
        "work) / tasks. Faint marks are trials, large marks means over trials, bars intervals. The "
        "axis is logarithmic."
    )
    if frame["ceiling"].notna().any():
        text += (
            " A tick is what the reference that bounds a system costs on the same workers: its "
            "ceiling, named in brackets (METHOD M18)."
        )
    trials, cells = frame[frame["kind"] == "trial"], frame[frame["kind"] == "estimate"]
    if cells["low"].isna().any():
        text += " A thin line is the range of the trials, where there is no interval."
    if below := int((trials["y"] <= 0).sum()):
        text += (
            f" In {below} trials the calibrated work was not exceeded: they lie left of the axis "
            "(arrowheads)."
        )
    return text


OVERHEADS = Chart(
    "overhead", "Overhead per task", "valid trial with an overhead", data, draw, caption
)
