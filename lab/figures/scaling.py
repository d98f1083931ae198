"""Draws throughput against cores, workers or nodes, with lines for perfect scaling.

Axes are never mixed (METHOD M20): cores at fixed workers per core and nodes, workers at fixed
cores, nodes of a fixed size; with the same number of tasks in total (strong) or per worker (weak).
There are two bases, both in absolute units: each label's smallest configuration, where its dotted
line begins, and the serial inline loop, the dashed line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from lab.analysis.colours import colour_of
from lab.analysis.labels import each
from lab.analysis.queries import (
    THROUGHPUT,
    Tables,
    is_grid,
    points,
    trend_estimates,
    workload_names,
)
from lab.analysis.sweeps.grouping import CROWDED, lines, noun_of, one_size, oversubscription
from lab.core.backend import INLINE
from lab.core.model import Flag
from lab.figures.chart import Chart
from lab.figures.disturbed import draw_marks, legend_entries, of_counted, ranked_last
from lab.figures.theme import (
    INK,
    PAPER,
    QUIET,
    engineering,
    label_handles,
    legend_below,
    logarithmic,
    panels,
)

BEYOND: Mapping[str, str] = {
    "quota": "are nodes with a CPU quota, which represent smaller machines",
    "oversubscribed": "need more cores than the machine has and show no speed",
    CROWDED: "have more workers than cores, so that CPU work waits for a core",
}
ONE_POINT = "only one size was measured: no scaling to show"
SPREAD = 0.16  # horizontal distance of the labels at one x, in powers of two
TIMES = ["times", "times_low", "times_high"]


def data(tables: Tables) -> pd.DataFrame:
    """Return trials and estimates of burst throughput, with panel, x and both bases.

    `serial` is the inline loop's rate; `times` is an estimate's speed-up over the label's smallest
    configuration.
    """
    rows = points(tables, THROUGHPUT)
    # The rate of paced arrivals is that of the plan, not of the backend.
    rows = rows[rows["arrival"] == "burst"]
    # A backend that executes no tasks has no rate of work, and would determine the scale.
    idle = tables["trial"].loc[tables["trial"]["runs_tasks"] == 0, "label"]
    rows = rows[~(rows["label"].isin(idle) & (rows["nominal_ns"] > 0))]
    rows = rows.assign(title=workload_names(rows), serial=_serial(rows))
    rows["oversubscription"] = [oversubscription(row) for row in each(rows)]
    parts = list(lines(rows)) or list(one_size(rows[~is_grid(rows)]))
    if not parts:
        return rows.assign(panel="", axis="", x=0).head(0)
    whole = pd.concat(parts, ignore_index=True)
    whole["panel"] = whole["title"] + " \N{MIDDLE DOT} " + whole["fixed"]
    return _with_times(whole, trend_estimates(tables, "speed_up"))


def _serial(rows: pd.DataFrame) -> pd.Series:
    """Return the inline loop's rate for each row; null if it was not measured."""
    loop = rows[(rows["kind"] == "estimate") & rows["label"].str.startswith(f"{INLINE}[")]
    # Smaller bursts exist for the marginal cost (METHOD M17b); the largest one has the rate.
    loop = loop.sort_values("n_planned").drop_duplicates(["workload", "size"], keep="last")
    rates = loop.set_index(["workload", "size"])["y"].astype("float64")
    keys = zip(rows["workload"], rows["size"], strict=True)
    return pd.Series([rates.get(key, np.nan) for key in keys], rows.index, dtype="float64")


def _with_times(whole: pd.DataFrame, speed_ups: pd.DataFrame) -> pd.DataFrame:
    """Add the speed-ups of cells: paired ratios with intervals (METHOD M12)."""
    names = dict(zip(["estimate", "ci_low", "ci_high"], TIMES, strict=True))
    chosen = speed_ups.rename(columns={"x_axis": "axis", **names}).astype({"x": "float64"})
    keys = ["label", "workload", "size", "axis", "fixed", "x"]
    # In trends x is a real number, because numbers of a whole line have none; keys need one type.
    whole = whole.astype({"x": "float64"})
    both = whole.merge(chosen[[*keys, *TIMES]], on=keys, how="left")
    is_start = both["x"] == both.groupby(["panel", "label"])["x"].transform("min")
    # The tables have no ratio of the smallest configuration to itself.
    both["times"] = both["times"].astype("float64").mask(is_start, 1.0)
    return both


def draw(frame: pd.DataFrame) -> Figure:
    """Draw one row per workload and axis: the throughput, and the speed-up."""
    titles, names = list(dict.fromkeys(frame["panel"])), _ranked(frame)
    figure, axes = panels(2 * len(titles), 2, (4.6, 3.9))
    # Factors and not distances, because x is logarithmic in the panel of the throughput.
    offset = {name: 2 ** (SPREAD * ((n + 0.5) / len(names) - 0.5)) for n, name in enumerate(names)}
    frame = frame.assign(at=frame["x"] * frame["name"].map(offset))
    for row, title in enumerate(titles):
        part = frame[frame["panel"] == title]
        absolute, relative = axes[2 * row : 2 * row + 2]
        _draw_panel(absolute, part, ideal=True)
        # All rows of a panel have this rate, because a panel has one workload and size.
        for rate in part["serial"].dropna().head(1):
            absolute.axhline(rate, color=INK, linestyle="--", linewidth=1, zorder=1)
        multiples = (_multiples(rows, part["x"].min()) for _, rows in part.groupby("name"))
        _draw_panel(relative, pd.concat(multiples))
        _dress(absolute, part, title)
        _dress_relative(relative, part)
    legend_below(figure, _legend(frame, names))
    return figure


def _ranked(frame: pd.DataFrame) -> list[str]:
    medians = of_counted(frame).groupby("name")["y"].median().sort_values(ascending=False)
    return ranked_last(list(medians.index), frame)


def _multiples(rows: pd.DataFrame, least: float) -> pd.DataFrame:
    """Divide a label's trials by its mean at the smallest configuration.

    Without that configuration, or with only one, the result is empty. A cell that shares no block
    with the smallest configuration is left out.
    """
    rows = of_counted(rows)
    # The panel's smallest size and not the label's: one axis has one base (METHOD M20).
    start = rows[(rows["kind"] == "estimate") & (rows["x"] == least)].head(1)
    if start.empty or _sizes(rows).max() == 1:
        return rows.head(0)
    is_trial = rows["kind"] == "trial"
    # Means are ratios of pairs (METHOD M12); the quotient of two means would contain drift.
    times = (rows["y"] / start["y"].iloc[0]).where(is_trial, rows["times"])
    multiples = rows.assign(y=times, low=rows["times_low"], high=rows["times_high"])
    return multiples.dropna(subset=["y"])


def _sizes(frame: pd.DataFrame, by: str = "name") -> pd.Series[int]:
    """Count the distinct x of each label or panel."""
    return frame.groupby(by)["x"].nunique()


def _draw_panel(ax: Axes, part: pd.DataFrame, *, ideal: bool = False) -> None:
    for marker, rows in part[part["kind"] == Flag.DISTURBED].groupby("marker"):
        draw_marks(ax, rows["at"], rows["y"], str(marker))
    # As a line of marks and not with `scatter`, whose SVG repeats the outline of every mark.
    for _, trials in part[part["kind"] == "trial"].groupby("name"):
        colour, marker = colour_of(trials["family"].iloc[0]), trials["marker"].iloc[0]
        look = {"color": colour, "marker": marker, "mec": PAPER, "mew": 0.32, "linestyle": ""}
        ax.plot(trials["at"], trials["y"], **look, markersize=4, alpha=0.35, zorder=1)
    for _, means in part[part["kind"] == "estimate"].groupby("name"):
        _draw_means(ax, means.sort_values("x"), ideal=ideal)


def _draw_means(ax: Axes, cells: pd.DataFrame, *, ideal: bool) -> None:
    colour, marker = colour_of(cells["family"].iloc[0]), cells["marker"].iloc[0]
    ax.plot(cells["at"], cells["y"], color=colour, linewidth=1.4, zorder=3)
    ax.vlines(cells["at"], cells["low"], cells["high"], color=colour, linewidth=2, zorder=3)
    for cell in each(cells):
        face = "white" if cell.oversubscription in BEYOND else colour
        ax.plot(cell.at, cell.y, marker, color=colour, mfc=face, markersize=5.5, zorder=4)
    if ideal and len(cells) > 1:
        perfect = cells["y"].iloc[0] * cells["x"] / cells["x"].iloc[0]
        ax.plot(cells["at"], perfect, color=colour, linestyle=":", linewidth=1.1, alpha=0.8)


def _dress(ax: Axes, part: pd.DataFrame, title: str) -> None:
    steps = sorted(part["x"].unique())
    logarithmic(ax, "x", "y")
    ax.set(ylabel="tasks per second", title=title)
    ax.set_xlim(steps[0] * 2**-0.25, steps[-1] * 2**0.25)
    _dress_steps(ax, part)
    engineering(ax.yaxis)


def _dress_steps(ax: Axes, part: pd.DataFrame) -> None:
    ax.set_xlabel(part["axis"].iloc[0])
    ax.xaxis.set_major_locator(FixedLocator(sorted(part["x"].unique())))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def _dress_relative(ax: Axes, part: pd.DataFrame) -> None:
    _dress_steps(ax, part)
    steps = sorted(part["x"].unique())
    start = f"{steps[0]:g} {noun_of(part['axis'].iloc[0], steps[0])}"
    ax.set_ylabel(f"speed-up over {start}")
    if _sizes(part).max() == 1:
        ax.text(0.5, 0.5, ONE_POINT, transform=ax.transAxes, ha="center", color=QUIET)
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
        return
    margin = 0.25 * (steps[-1] - steps[0])
    ideal = np.array([max(0, steps[0] - margin), steps[-1]])
    ax.plot(ideal, ideal / steps[0], color=INK, linestyle=":", linewidth=1.3)
    ax.set_xlim(ideal[0], steps[-1] + margin)
    ax.set_ylim(bottom=0)


def _legend(frame: pd.DataFrame, names: Sequence[str]) -> list[Line2D]:
    handles = label_handles(frame, names)
    handles.append(Line2D([], [], color=QUIET, linestyle=":", label="perfect scaling"))
    if frame["serial"].notna().any():
        handles.append(Line2D([], [], color=INK, linestyle="--", label="inline loop, one core"))
    if modes := [mode for mode in BEYOND if (frame["oversubscription"] == mode).any()]:
        hollow = " or ".join(modes)
        handles.append(Line2D([], [], color=INK, marker="o", mfc="white", ls="", label=hollow))
    return [*handles, *legend_entries(frame)]


def caption(frame: pd.DataFrame) -> str:
    """Describe the panels, the lines and the hollow marks."""
    text = (
        "Throughput of a burst on the left (both axes logarithmic), and on the right its multiple "
        "of the same label's throughput at the smallest configuration, paired block by block. "
        "Faint marks are trials, large marks are means; dotted lines are perfect scaling."
    )
    if frame["serial"].notna().any():
        text += (
            " The dashed line is the inline loop: the same tasks on one core, without a backend."
        )
    for mode, meaning in BEYOND.items():
        if (frame["oversubscription"] == mode).any():
            text += f" Hollow marks {meaning}."
    if (_sizes(frame, "panel") == 1).any():
        text += f" Panels without curves: {ONE_POINT}."
    return text


SCALING = Chart("scaling", "Scaling", "valid burst trial with a throughput", data, draw, caption)
