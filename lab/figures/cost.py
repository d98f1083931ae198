"""CPU time of a task by who spends it: driver, servers, workers (METHOD M17d).

A system may answer soon and still cost much: its server and its idle polls are on nobody's clock
but the machine's. The work of the task itself is in the workers' share.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.analysis.queries import TOPOLOGY, Tables, points, topology_names, workload_names
from lab.core.model import Burst
from lab.figures.chart import Chart
from lab.figures.overhead import ROW_IN, draw_cell, scale
from lab.figures.theme import QUIET, legend_below, panels

ROLES: Mapping[str, str] = {"driver": "o", "services": "s", "workers": "^"}
"""Who spends CPU time, and the marker that says so."""


def data(tables: Tables) -> pd.DataFrame:
    """Trials and estimates of the CPU seconds a task of each role, with panel and role."""
    parts = [points(tables, f"cpu_{role}_s_per_task").assign(role=role) for role in ROLES]
    found = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    found = found[found["arrival"] == Burst.kind]
    found = found.sort_values(["nominal_ns", "workload", "size", *TOPOLOGY], kind="stable")
    return found.assign(panel=workload_names(found) + ", " + topology_names(found))


def draw(frame: pd.DataFrame) -> Figure:
    """Draw a panel a workload and topology, a row a label, a marker a role; cheapest on top."""
    titles = list(dict.fromkeys(frame["panel"]))
    names = _ranked(frame)
    figure, axes = panels(len(titles), 2, (4.6, 1.1 + ROW_IN * len(names)), sharey=True)
    for ax, title in zip(axes, titles, strict=True):
        part = frame[frame["panel"] == title]
        for (name, role), own in part.groupby(["name", "role"]):
            aside = 0.22 * (list(ROLES).index(role) - 1)
            draw_cell(ax, own, names.index(name) + aside, ROLES[role])
        ax.set(xlabel="CPU time per task", title=title)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        scale(ax, part)
    legend_below(figure, _legend())
    return figure


def _ranked(frame: pd.DataFrame) -> list[str]:
    """Order labels by what all roles take together where that is least."""
    cells = frame[frame["kind"] == "estimate"]
    sums = cells.groupby(["name", "panel"])["y"].sum().groupby("name").min().sort_values()
    return list(dict.fromkeys([*sums.index, *frame["name"]]))


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=QUIET, marker=marker, linestyle="", label=role)
        for role, marker in ROLES.items()
    ]


def caption(frame: pd.DataFrame) -> str:
    """Say whose time it is, and that the work of the task is part of it."""
    hidden = int(((frame["y"] <= 0) & (frame["kind"] == "trial")).sum())
    text = (
        "CPU seconds of each role in the window of a burst, divided by the tasks that finished. "
        "Workers that live in the driver's process count as driver; the work of the task is "
        "included. Faint marks are trials, large marks means over trials, bars intervals. The axis "
        "is logarithmic."
    )
    if hidden:
        text += f" In {hidden} cases the kernel's clock saw no time at all: arrowheads on the left."
    return text


COST = Chart("cost", "CPU time per task", "valid burst trial", data, draw, caption)
