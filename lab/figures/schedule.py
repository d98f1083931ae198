"""Draws the error of every occurrence against the instant at which it was due (METHOD M26).

The axis is logarithmic on both sides of zero, because backends differ by orders of magnitude.
Missed occurrences have no error; the legend counts them and the surplus firings.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from lab.analysis.colours import colour_of
from lab.analysis.labels import each, identify
from lab.analysis.queries import Tables, topology_names, usable, workload_names
from lab.core.cell import CELL, TOPOLOGY
from lab.figures.chart import Chart
from lab.figures.theme import legend_beside, panels

# Smaller than the error of any scheduler; below it the axis is linear.
LINEAR_S = 1e-4
GROUP = ["panel", "name", "family", "marker", *CELL]
POINT = ["trial_id", "job", "k", "error_s", "outcome"]


def data(tables: Tables) -> pd.DataFrame:
    """Return one row per occurrence or surplus firing of the usable periodic trials.

    Returns:
        panel, name, family, marker, the cell, trial_id, job, k, error_s, outcome, n_trials,
        n_noisy, method.
    """
    trials = usable(tables["trial"])
    trials = trials[trials["arrival"] == "periodic"]
    names = identify(tables["trial"])[["label", "name", "marker"]]
    trials = trials.merge(names, on="label").sort_values(["nominal_ns", "schedule", *TOPOLOGY])
    panel = workload_names(trials) + ", " + trials["schedule"] + ", " + topology_names(trials)
    cells = trials.groupby(CELL, dropna=False)["flag"]
    trials = trials.assign(
        panel=panel,
        n_trials=cells.transform("size"),
        n_noisy=cells.transform(lambda flags: (flags == "noisy").sum()),
        method="none, every occurrence is drawn",
    )
    known = tables["firing"].assign(error_s=tables["firing"]["error_ns"] / 1e9)
    points = trials.merge(known, on=["trial_id", "attempt"])
    return points[[*GROUP, *POINT, "n_trials", "n_noisy", "method"]]


def draw(frame: pd.DataFrame) -> Figure:
    """Draw one panel per workload and schedule, each label with its colour and marker."""
    titles = list(dict.fromkeys(frame["panel"]))
    figure, axes = panels(len(titles), 1, (9.2, 3.2))
    for ax, title in zip(axes, titles, strict=True):
        part = frame[frame["panel"] == title]
        for _, rows in part.groupby("name"):
            first = next(iter(each(rows)))
            ax.plot(rows["k"], rows["error_s"].astype("float64"), **_look(first), alpha=0.7)
        _dress(ax, title, part["error_s"].astype("float64"))
        legend_beside(ax, _legend(part), "kept / missed / doubled")
    return figure


def _look(row: Any) -> dict[str, Any]:
    return {
        "color": colour_of(row.family),
        "marker": row.marker,
        "linestyle": "",
        "markersize": 4,
        "markeredgewidth": 0,
    }


def _dress(ax: Axes, title: str, errors: pd.Series) -> None:
    ax.axhline(0, color="black", linewidth=0.8, zorder=1)
    ax.set_yscale("symlog", linthresh=LINEAR_S)
    # At least the linear part: a closer view would enlarge errors that do not matter.
    ax.set_ylim(min(-LINEAR_S, 2 * errors.min()), max(LINEAR_S, 2 * errors.max()))
    ax.set(xlabel="occurrence", ylabel="start - due instant", title=title)
    ax.yaxis.set_major_formatter(EngFormatter(unit="s", sep="\u2009"))
    # With one occurrence matplotlib would label fractions of it.
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _legend(part: pd.DataFrame) -> list[Line2D]:
    middle = part["error_s"].astype("float64").groupby(part["name"]).median()
    firsts = part.drop_duplicates("name").set_index("name", drop=False)
    # A label that missed every occurrence has no median.
    order = middle.reindex(firsts.index).sort_values(na_position="last").index
    return [
        Line2D([], [], **_look(first), label=f"{first.name}: {_counted(part, first.name)}")
        for first in each(firsts.loc[order])
    ]


def _counted(part: pd.DataFrame, name: str) -> str:
    # An early firing took place, so it is not missed; its point shows how early it was.
    outcomes = part.loc[part["name"] == name, "outcome"].replace("early", "fired")
    return " / ".join(str((outcomes == word).sum()) for word in ("fired", "missed", "doubled"))


def caption(frame: pd.DataFrame) -> str:
    """Describe a point and the zero, and count the occurrences."""
    # A doubled occurrence has a row for each of its firings.
    n_due = len(frame.drop_duplicates(["trial_id", "job", "k"]))
    return (
        f"Start of each firing minus the instant at which it was due, {n_due:,} occurrences in "
        "all. A cron line defines the instant. The backend chooses the phase of an interval, so "
        "there zero is the most punctual of the first firings, and a slope is drift. Below 0.1 ms "
        "the axis is linear."
    )


SCHEDULE = Chart("schedule", "Lateness of schedules", "valid periodic trial", data, draw, caption)
