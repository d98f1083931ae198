"""Draws the CPU time per task of driver, servers and workers (METHOD M17d).

A backend with short latency may still use much CPU time in its server or by polling. The workers'
share includes the work of the task.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.analysis.queries import Tables, points, topology_names, workload_names
from lab.core.cell import TOPOLOGY
from lab.core.model import Burst
from lab.figures.chart import Chart
from lab.figures.disturbed import legend_entries
from lab.figures.overhead import ROW_IN, draw_cell, scale
from lab.figures.theme import QUIET, legend_below, panels

ROLES: Mapping[str, str] = {"driver": "o", "services": "s", "workers": "^"}
"""Role -> its marker."""


def data(tables: Tables) -> pd.DataFrame:
    """Return trials and estimates of the CPU seconds per task, with panel and role."""
    parts = [points(tables, f"cpu_{role}_s_per_task").assign(role=role) for role in ROLES]
    # `concat` refuses an empty list; one empty part keeps the columns.
    rows = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    rows = rows[rows["arrival"] == Burst.kind]
    rows = rows.sort_values(["nominal_ns", "workload", "size", *TOPOLOGY], kind="stable")
    return rows.assign(panel=workload_names(rows) + ", " + topology_names(rows))


def draw(frame: pd.DataFrame) -> Figure:
    """Draw one panel per workload and topology, one row per label; the cheapest is on top."""
    titles = list(dict.fromkeys(frame["panel"]))
    names = _ranked(frame)
    figure, axes = panels(len(titles), 2, (4.6, 1.1 + ROW_IN * len(names)), sharey=True)
    for ax, title in zip(axes, titles, strict=True):
        part = frame[frame["panel"] == title]
        for (name, role), rows in part.groupby(["name", "role"]):
            offset = 0.22 * (list(ROLES).index(role) - 1)
            draw_cell(ax, rows, names.index(name) + offset, ROLES[role])
        ax.set(xlabel="CPU time per task", title=title)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        scale(ax, part)
    legend_below(figure, [*_legend(), *legend_entries(frame)])
    return figure


def _ranked(frame: pd.DataFrame) -> list[str]:
    """Order labels by the sum over roles in their cheapest panel."""
    cells = frame[frame["kind"] == "estimate"]
    sums = cells.groupby(["name", "panel"])["y"].sum().groupby("name").min().sort_values()
    # A label with trials but without an estimate has no sum, and needs a row all the same.
    return list(dict.fromkeys([*sums.index, *frame["name"]]))


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=QUIET, marker=marker, linestyle="", label=role)
        for role, marker in ROLES.items()
    ]


def caption(frame: pd.DataFrame) -> str:
    """Describe the roles, and what their CPU time includes."""
    hidden = int(((frame["y"] <= 0) & (frame["kind"] == "trial")).sum())
    text = (
        "CPU seconds of each role in the window of a burst, divided by the number of finished "
        "tasks. Workers inside the driver's process count as driver; the work of the task is "
        "included. Faint marks are trials, large marks are means over trials. The axis is "
        "logarithmic."
    )
    if hidden:
        text += (
            f" Arrowheads mark {hidden} values that are 0 at the resolution of the kernel's clock."
        )
    return text


COST = Chart("cost", "CPU time per task", "valid burst trial", data, draw, caption)
