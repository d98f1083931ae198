"""Draws the memory per worker by state, and of all workers over their number (METHOD M25)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, ScalarFormatter

from lab.analysis.colours import colour_of
from lab.analysis.queries import Tables, points, workload_names
from lab.core.cell import TOPOLOGY
from lab.core.model import Flag
from lab.figures.chart import Chart
from lab.figures.disturbed import draw_marks, legend_entries, of_counted, ranked_last
from lab.figures.theme import QUIET, legend_below, legend_beside, logarithmic, panels

# State -> its mark, in the order of a trial.
STATES: Mapping[str, str] = {"idle": "o", "steady": "D", "peak": ">", "drained": "s"}
MB = 1e6
ROW_IN = 0.28
SUMMED = "drained"  # the state that is drawn over the number of workers


def data(tables: Tables) -> pd.DataFrame:
    """Return trials and estimates of each state: y in bytes per worker, x in workers."""
    parts = [
        points(tables, f"memory_bytes_per_worker_{state}").assign(state=state) for state in STATES
    ]
    rows = pd.concat(parts, ignore_index=True)
    # Paced trials are not read in the window, because reading delays tasks: they have no steady
    # state and no peak (METHOD M25).
    rows = rows[rows["arrival"] == "burst"]
    return rows.assign(
        panel=workload_names(rows), x=rows["nodes"] * rows["workers_per_node"]
    ).sort_values(["nominal_ns", "workload", "size", *TOPOLOGY], kind="stable")


def draw(frame: pd.DataFrame) -> Figure:
    """Draw one row per workload: states at the largest worker count, and sums over workers."""
    titles = list(dict.fromkeys(frame["panel"]))
    n_rows = max(frame.groupby("panel")["name"].nunique())
    figure, axes = panels(2 * len(titles), 2, (5.4, max(2.6, 1.1 + ROW_IN * n_rows)))
    for number, title in enumerate(titles):
        part = frame[frame["panel"] == title]
        left, right = axes[2 * number : 2 * number + 2]
        _draw_states(left, part, title)
        _draw_sums(right, part)
    legend_below(figure, [*_legend(), *legend_entries(frame)])
    return figure


def _ranked(part: pd.DataFrame) -> list[str]:
    return ranked_last(
        list(of_counted(part).groupby("name")["y"].median().sort_values().index), part
    )


def _draw_states(ax: Axes, part: pd.DataFrame, title: str) -> None:
    """Draw one row per label, the smallest on top: faint trials, and the mean in each state."""
    names = _ranked(part)
    # Pages shared after a fork count once (METHOD M25): fewer workers have larger shares.
    widest = part[part["x"] == part.groupby("name")["x"].transform("max")]
    for (name, state), cell in widest.groupby(["name", "state"], sort=False):
        at = names.index(str(name)) + (list(STATES).index(str(state)) - 1.5) * 0.18
        _draw_state(ax, cell.assign(mb=cell["y"] / MB, at=at), STATES[str(state)])
    logarithmic(ax, "x")
    ax.set(xlabel="MB per worker", title=title)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    _plain(ax)


def _draw_state(ax: Axes, cell: pd.DataFrame, marker: str) -> None:
    trials, means, disturbed = (
        cell[cell["kind"] == kind] for kind in ("trial", "estimate", Flag.DISTURBED)
    )
    look: dict[str, Any] = {"color": colour_of(cell["family"].iloc[0]), "marker": marker}
    look |= {"linestyle": "", "markeredgewidth": 0}
    ax.plot(trials["mb"], trials["at"], **look, markersize=3, alpha=0.35)
    bars = means.dropna(subset=["low", "high"])
    ax.hlines(bars["at"], bars["low"] / MB, bars["high"] / MB, color=look["color"], linewidth=1.8)
    ax.plot(means["mb"], means["at"], **look, markersize=5.5)
    draw_marks(ax, disturbed["mb"], disturbed["at"], marker)


def _plain(ax: Axes) -> None:
    """Label a logarithmic axis of MB with plain numbers instead of powers of ten."""
    low, high = ax.get_xlim()
    # From 0.1 MB to 500 GB, beyond any worker on both sides.
    steps = [step * 10**power for power in range(-1, 6) for step in (1, 2, 5)]
    ax.xaxis.set_major_locator(FixedLocator([step for step in steps if low <= step <= high]))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())


def _draw_sums(ax: Axes, part: pd.DataFrame) -> None:
    """Draw the memory of all workers over their number, with the slope in the legend."""
    sums = part[part["state"] == SUMMED]
    handles = []
    for name in _ranked(sums):
        rows = sums[sums["name"] == name]
        cells = rows[rows["kind"] == "estimate"].sort_values("x")
        trials = rows[rows["kind"] == "trial"]
        colour, marker = colour_of(rows["family"].iloc[0]), rows["marker"].iloc[0]
        ax.plot(trials["x"], trials["x"] * trials["y"] / MB, marker, color=colour, ms=3, alpha=0.35)
        ax.plot(cells["x"], cells["x"] * cells["y"] / MB, marker=marker, color=colour, ms=5)
        disturbed = rows[rows["kind"] == Flag.DISTURBED]
        draw_marks(ax, disturbed["x"], disturbed["x"] * disturbed["y"] / MB, marker)
        label = f"{name}{_slope(cells)}"
        handles.append(Line2D([], [], color=colour, marker=marker, label=label))
    # Linear, because the legend has the slope of a straight line.
    ax.set(xlabel="workers", ylabel="MB of all workers", ylim=(0, None))
    ax.xaxis.set_major_locator(FixedLocator(sorted(sums["x"].unique())))
    ax.xaxis.set_minor_locator(NullLocator())
    legend_beside(ax, handles, "MB per additional worker")


def _slope(cells: pd.DataFrame) -> str:
    # Bursts of two sizes on equal workers are two points, and have no slope either.
    if cells["x"].nunique() < 2:  # noqa: PLR2004 (a slope needs two sizes)
        return ""
    total = cells["x"] * cells["y"] / MB
    return f": {np.polyfit(cells['x'], total, 1)[0]:.1f}"


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=QUIET, marker=marker, linestyle="", label=state)
        for state, marker in STATES.items()
    ]


def caption(_frame: pd.DataFrame) -> str:
    """Describe the memory, the states and the slope."""
    return (
        "Left: memory (PSS over the workers' process tree) per worker slot, at the largest number "
        "of workers of each label: idle is before the window, steady and peak are in it, drained "
        "is after the last task. For workers inside the driver it is the driver's memory. Right: "
        "memory of all workers after the last task, over their number; the legend has the slope of "
        "a straight line. Faint marks are trials, large marks are geometric means. Page "
        "cache that no process maps is not included."
    )


MEMORY = Chart("memory", "Memory", "valid burst trial whose memory was read", data, draw, caption)
