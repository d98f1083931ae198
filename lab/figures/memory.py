"""Memory of a worker by state, and of all workers together over how many there are (METHOD M25)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, ScalarFormatter

from lab.analysis.labels import each
from lab.analysis.queries import TOPOLOGY, Tables, points, workload_names
from lab.figures.chart import Chart
from lab.figures.theme import QUIET, colour_of, legend_below, legend_beside, logarithmic, panels

# State -> its mark, in the order of a trial.
STATES: Mapping[str, str] = {"idle": "o", "steady": "D", "peak": ">", "drained": "s"}
MB = 1e6
ROW_IN = 0.28
STEP_OF = "drained"  # what is drawn over the number of workers


def data(tables: Tables) -> pd.DataFrame:
    """Trials and estimates of each state of burst trials: y in bytes a worker, x in workers."""
    parts = [
        points(tables, f"memory_bytes_per_worker_{state}").assign(state=state) for state in STATES
    ]
    found = pd.concat(parts, ignore_index=True)
    found = found[found["arrival"] == "burst"]
    return found.assign(
        panel=workload_names(found), x=found["nodes"] * found["workers_per_node"]
    ).sort_values(["nominal_ns", "workload", "size", *TOPOLOGY], kind="stable")


def draw(frame: pd.DataFrame) -> Figure:
    """Draw a row a workload: states at the most workers on the left, sums on the right."""
    titles = list(dict.fromkeys(frame["panel"]))
    n_rows = max(frame.groupby("panel")["name"].nunique())
    figure, axes = panels(2 * len(titles), 2, (5.4, max(2.6, 1.1 + ROW_IN * n_rows)))
    for number, title in enumerate(titles):
        part = frame[frame["panel"] == title]
        left, right = axes[2 * number : 2 * number + 2]
        _draw_states(left, part, title)
        _draw_sums(right, part)
    legend_below(figure, _legend())
    return figure


def _ranked(part: pd.DataFrame) -> list[str]:
    return list(part.groupby("name")["y"].median().sort_values().index)


def _draw_states(ax: Axes, part: pd.DataFrame, title: str) -> None:
    """Draw one row a label, the smallest on top: faint trials, and the mean in each state."""
    names = _ranked(part)
    widest = part[part["x"] == part.groupby("name")["x"].transform("max")]
    for own in each(widest):
        aside = (list(STATES).index(own.state) - 1.5) * 0.18
        at, is_mean = names.index(own.name) + aside, own.kind == "estimate"
        look: dict[str, Any] = {"color": colour_of(own.family), "marker": STATES[own.state]}
        if is_mean and pd.notna(own.low) and pd.notna(own.high):
            ax.hlines(at, own.low / MB, own.high / MB, color=look["color"], linewidth=1.8)
        size, alpha = (5.5, 1.0) if is_mean else (3.0, 0.35)
        ax.plot(own.y / MB, at, **look, markersize=size, alpha=alpha, markeredgewidth=0)
    logarithmic(ax, "x")
    ax.set(xlabel="MB a worker", title=title)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    _plain(ax)


def _plain(ax: Axes) -> None:
    """Label a logarithmic axis of MB by plain numbers."""
    low, high = ax.get_xlim()
    steps = [step * 10**power for power in range(-1, 6) for step in (1, 2, 5)]
    ax.xaxis.set_major_locator(FixedLocator([step for step in steps if low <= step <= high]))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())


def _draw_sums(ax: Axes, part: pd.DataFrame) -> None:
    """Draw what all workers hold over their number, and tell the slope in the legend."""
    own = part[part["state"] == STEP_OF]
    handles = []
    for name in _ranked(own):
        mine = own[own["name"] == name]
        cells = mine[mine["kind"] == "estimate"].sort_values("x")
        trials = mine[mine["kind"] == "trial"]
        colour, marker = colour_of(mine["family"].iloc[0]), mine["marker"].iloc[0]
        ax.plot(trials["x"], trials["x"] * trials["y"] / MB, marker, color=colour, ms=3, alpha=0.35)
        ax.plot(cells["x"], cells["x"] * cells["y"] / MB, marker=marker, color=colour, ms=5)
        label = f"{name}{_slope(cells)}"
        handles.append(Line2D([], [], color=colour, marker=marker, label=label))
    ax.set(xlabel="workers", ylabel="MB of all workers", ylim=(0, None))
    ax.xaxis.set_major_locator(FixedLocator(sorted(own["x"].unique())))
    ax.xaxis.set_minor_locator(NullLocator())
    legend_beside(ax, handles, "MB a further worker")


def _slope(cells: pd.DataFrame) -> str:
    if len(cells) < 2:  # noqa: PLR2004 (a slope needs two)
        return ""
    total = cells["x"] * cells["y"] / MB
    return f": {np.polyfit(cells['x'], total, 1)[0]:.1f}"


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=QUIET, marker=marker, linestyle="", label=state)
        for state, marker in STATES.items()
    ]


def caption(_frame: pd.DataFrame) -> str:
    """Say what the memory is, and what the states and the slope are."""
    return (
        "Left: memory (PSS over the workers' process tree) for each worker slot, at the most "
        "workers of each label: idle before the window, steady and peak in it, drained after the "
        "last task. Where workers live in the driver it is the driver's. Right: what all workers "
        "hold after the last task, over how many there are; the legend has the slope of a straight "
        "line. Faint marks are trials, large marks geometric means, bars intervals. Page cache "
        "that no process maps is not in it."
    )


MEMORY = Chart("memory", "Memory", "valid burst trial whose memory was read", data, draw, caption)
