"""Draws the overhead per task over the versions of a package or of Python (METHOD M36)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.analysis.colours import colour_of
from lab.analysis.labels import each
from lab.analysis.queries import Tables
from lab.comparison.compare import Change
from lab.comparison.versions import over_versions
from lab.core.model import Flag
from lab.figures.chart import Chart
from lab.figures.disturbed import draw_marks, legend_entries
from lab.figures.theme import (
    BAD,
    GOOD,
    PAPER,
    engineering,
    label_handles,
    legend_below,
    logarithmic,
    panels,
)

STEPS: Mapping[str, str] = {Change.WORSE: BAD, Change.BETTER: GOOD}
# Width of a version's place, in which the lines are side by side.
SPREAD = 0.4


def data(tables: Tables) -> pd.DataFrame:
    """Return trials and estimates of each version, with the steps between versions."""
    return over_versions(tables)


def draw(frame: pd.DataFrame) -> Figure:
    """Draw one panel per package and cell, one line per label; steps are red or green."""
    titles, names = list(dict.fromkeys(frame["panel"])), sorted(set(frame["name"]))
    figure, axes = panels(len(titles), 2, (5.6, 3.4))
    for ax, title in zip(axes, titles, strict=True):
        part = frame[frame["panel"] == title]
        lines = [line for _, line in part.groupby("name")]
        for rank, line in enumerate(lines):
            _draw_line(ax, line, SPREAD * ((rank + 0.5) / len(lines) - 0.5))
        ax.set(title=title, xlabel="version", ylabel="overhead per task")
        ticks, subject = part.drop_duplicates("x").sort_values("x"), part["subject"].iloc[0]
        ax.set_xticks(ticks["x"], ticks["version"].str.removeprefix(f"{subject} "))
        ax.set_xlim(ticks["x"].min() - 0.5, ticks["x"].max() + 0.5)
        logarithmic(ax, "y")
        engineering(ax.yaxis, "s")
    handles = [*label_handles(frame, names), *_legend(frame), *legend_entries(frame)]
    legend_below(figure, handles)
    return figure


def _draw_line(ax: Axes, line: pd.DataFrame, offset: float) -> None:
    colour, marker = colour_of(line["family"].iloc[0]), line["marker"].iloc[0]
    of = {kind: rows.assign(x=rows["x"] + offset) for kind, rows in line.groupby("kind")}
    # A logarithmic axis shows no other value.
    of = {kind: rows[rows["y"] > 0] for kind, rows in of.items()}
    none = line.head(0)
    trials, cells = of.get("trial", none), of.get("estimate", none)
    ax.plot(trials["x"], trials["y"], marker, color=colour, alpha=0.25, markersize=3.5)
    ax.plot(cells["x"], cells["y"], color=colour, linewidth=1, alpha=0.6)
    ax.vlines(cells["x"], cells["low"], cells["high"], color=colour, linewidth=2.2, zorder=3)
    ax.plot(cells["x"], cells["y"], marker, color=colour, mec=PAPER, markersize=6.5, zorder=4)
    _draw_steps(ax, cells)
    disturbed = of.get(str(Flag.DISTURBED), none)
    draw_marks(ax, disturbed["x"], disturbed["y"], marker)


def _draw_steps(ax: Axes, cells: pd.DataFrame) -> None:
    """Draw each step over its part of the line, with its size in percent above it."""
    before = cells.assign(x0=cells["x"].shift(), y0=cells["y"].shift())
    for step in each(before[before["change"].isin([*STEPS])]):
        look: dict[str, Any] = {"color": STEPS[step.change], "zorder": 3.5}
        ax.plot([step.x0, step.x], [step.y0, step.y], linewidth=2.6, **look)
        middle = (step.x0 + step.x) / 2, np.sqrt(step.y0 * step.y)
        text = f"{step.ratio - 1:+.1%}".replace("-", "\N{MINUS SIGN}").replace(
            "%", "\N{THIN SPACE}%"
        )
        ground: dict[str, Any] = {"boxstyle": "round,pad=0.15", "fc": PAPER, "ec": "none"}
        ax.text(*middle, text, ha="center", va="center", fontsize=8, bbox=ground, **look)


def _legend(frame: pd.DataFrame) -> list[Line2D]:
    """Return an entry for each kind of step that the frame has."""
    return [
        Line2D([], [], color=colour, linewidth=2.6, label=f"step: {change}")
        for change, colour in STEPS.items()
        if (frame["change"] == change).any()
    ]


def caption(frame: pd.DataFrame) -> str:
    """Define the number, the steps, and what is not visible."""
    judged = int(frame["change"].notna().sum())
    marked = int(frame["change"].isin([*STEPS]).sum())
    text = (
        "Worker-seconds per task beyond its calibrated work, of the largest burst. Faint marks are "
        "trials, large marks are means over trials. Each version is compared with the one before "
        "it by the ratio of the trials of one block; a coloured step differs "
        f"after Holm's correction over {judged} steps: {marked} do (METHOD M36). The axis is "
        "logarithmic."
    )
    if below := int(((frame["kind"] == "trial") & (frame["y"] <= 0)).sum()):
        text += f" Not shown: {below} trials whose overhead is not above zero."
    return text


VERSIONS = Chart(
    "versions",
    "Cost over versions",
    "system with an overhead in three versions of its package or of Python",
    data,
    draw,
    caption,
    has_environments=True,
)
