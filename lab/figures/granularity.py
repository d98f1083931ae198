"""Draws efficiency against task length, and the shortest efficient task (METHOD M17c)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from lab.analysis.colours import colour_of
from lab.analysis.granularity import HALF
from lab.analysis.labels import each
from lab.analysis.queries import (
    Tables,
    is_grid,
    largest_bursts,
    points,
    topology_names,
    trend_estimates,
)
from lab.core.cell import TOPOLOGY
from lab.core.model import Flag
from lab.figures.chart import Chart
from lab.figures.disturbed import draw_marks, legend_entries, of_counted, ranked_last
from lab.figures.theme import INK, engineering, label_handles, legend_beside, logarithmic, panels

EFFICIENCY, METG = "efficiency", "metg_50_s"


def data(tables: Tables) -> pd.DataFrame:
    """Return trials and estimates of the efficiency by task length x, and each label's METG."""
    rows = largest_bursts(points(tables, EFFICIENCY))
    rows = rows[is_grid(rows)]
    if rows.empty:
        return rows.assign(panel="", x=0.0)
    rows = rows.assign(x=rows["nominal_ns"] / 1e9, panel=_panels(rows))
    rows = rows[rows.groupby("panel")["x"].transform("nunique") > 1]  # a curve needs two sizes
    marks = trend_estimates(tables, METG)
    marks = marks.assign(kind="metg", panel=_panels(marks), x=marks["estimate"], y=HALF)
    # A panel with one size was dropped above; a diamond alone would bring it back.
    marks = marks[marks["panel"].isin(rows["panel"])]
    marks = marks.rename(columns={"ci_low": "low", "ci_high": "high"})
    columns = ["kind", "panel", "name", "family", "marker", "x", "y", "low", "high", "bound"]
    return pd.concat([rows, marks[[*columns, "label", *TOPOLOGY]]], ignore_index=True)


def _panels(rows: pd.DataFrame) -> pd.Series:
    return rows["workload"] + " \N{MIDDLE DOT} " + topology_names(rows)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw one panel per topology, one curve per label, and a diamond at its METG."""
    titles = list(dict.fromkeys(frame["panel"]))
    figure, axes = panels(len(titles), 1, (8.6, 4.2))
    for ax, title in zip(axes, titles, strict=True):
        part = frame[frame["panel"] == title]
        names = _ranked(part)
        for name in names:
            _draw_label(ax, part[part["name"] == name])
        ax.axhline(HALF, color=INK, linestyle="--", linewidth=1, zorder=1)
        logarithmic(ax, "x")
        ax.set(xlabel="calibrated work per task", ylabel="efficiency")
        ax.set(title=title)
        # The CPU may become faster after the calibration (METHOD M23): then efficiency exceeds 1.
        ax.set_ylim(0, max(1.05, float(part["y"].max()) * 1.05))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        engineering(ax.xaxis, "s")
        legend_beside(ax, _legend(part, names), "cheapest first")
    return figure


def _ranked(part: pd.DataFrame) -> list[str]:
    """Order labels by METG; labels without one follow, by their highest efficiency."""
    marks = part[part["kind"] == "metg"]
    # The true length of a lower bound is beyond the grid (METHOD M17c), so it sorts last.
    rank = dict(
        zip(marks["name"], zip(marks["bound"] == ">", marks["x"], strict=True), strict=True)
    )
    reached = of_counted(part).groupby("name")["y"].max()
    names = sorted(reached.index, key=lambda name: (rank.get(name, (True, np.inf)), -reached[name]))
    return ranked_last(names, part)


def _draw_label(ax: Axes, rows: pd.DataFrame) -> None:
    colour, marker = colour_of(rows["family"].iloc[0]), rows["marker"].iloc[0]
    trials = rows[rows["kind"] == "trial"]
    ax.plot(trials["x"], trials["y"], marker, color=colour, alpha=0.3, markersize=3.5)
    disturbed = rows[rows["kind"] == Flag.DISTURBED]
    draw_marks(ax, disturbed["x"], disturbed["y"], marker)
    cells = rows[rows["kind"] == "estimate"].sort_values("x")
    ax.plot(cells["x"], cells["y"], marker=marker, color=colour, linewidth=1.4, markersize=5)
    ax.vlines(cells["x"], cells["low"], cells["high"], color=colour, linewidth=2)
    for mark in each(rows[rows["kind"] == "metg"]):
        # A diamond at a bound would be read as a measured length.
        if mark.bound not in ("<", ">"):
            if pd.notna(mark.low) and pd.notna(mark.high):
                ax.hlines(HALF, mark.low, mark.high, color=colour, linewidth=3, zorder=4)
            ax.plot(mark.x, HALF, "d", color=colour, mec="white", markersize=8, zorder=5)


def _legend(part: pd.DataFrame, names: list[str]) -> list[Line2D]:
    half = Line2D([], [], color=INK, linestyle="--", label="efficiency 50 %")
    return [*label_handles(part, names), half, *legend_entries(part)]


def caption(frame: pd.DataFrame) -> str:
    """Define efficiency and the diamond."""
    text = (
        "Efficiency is the share of the worker slots' time that is calibrated work, tasks x work "
        "/ (workers x wall time), here against the length of a task. A diamond marks METG(50 %), "
        "the shortest task with an efficiency of 50 %, with its interval over blocks if there are "
        "enough. Faint marks are trials, connected marks are means over trials."
    )
    if (frame.loc[frame["kind"] == "metg", "bound"] == ">").any():
        text += " Curves below the line do not reach 50 % at any of these lengths."
    return text


GRANULARITY = Chart(
    "granularity",
    "Efficiency by task length",
    "burst with tasks of three or more lengths (--experiment overhead)",
    data,
    draw,
    caption,
)
