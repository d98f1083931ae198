"""Throughput against cores, workers or nodes, with the line that perfect scaling would follow.

Axes are never mixed (METHOD M20): cores at fixed workers per core and nodes, workers at fixed
cores, nodes at a fixed node. The ideal line starts at each label's own smallest value, so the
plain call's line is what the best serial loop would reach on as many cores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from lab.figures.chart import Chart
from lab.figures.measured import THROUGHPUT, Tables, points, workload_names
from lab.figures.theme import INK, QUIET, colour_of, each, engineering, legend_below, panels

AXES: Mapping[str, Sequence[str]] = {
    "cores": ("nodes", "workers_per_core"),
    "workers": ("nodes", "cores"),
    "nodes": ("cores_per_node", "workers_per_node"),
}
"""What may grow along x, and what stays fixed in a panel then."""
EMULATED = {
    "quota": "are nodes under a CPU quota, which stand for smaller machines",
    "oversubscribed": "want more than the machine's cores can give: they show that it works",
}
ONE_POINT = "only one size was measured: no scaling to see"
SPREAD = 0.16  # in powers of two: how far labels stand apart around one x


def data(tables: Tables) -> pd.DataFrame:
    """Trials and estimates of burst throughput, panel by panel, with their x."""
    found = points(tables, THROUGHPUT)
    found = found[found["arrival"] == "burst"]
    found = found.assign(
        workload=workload_names(found),
        cores=found["nodes"] * found["cores_per_node"],
        workers=found["nodes"] * found["workers_per_node"],
        workers_per_core=found["workers_per_node"] / found["cores_per_node"],
    )
    parts = [
        part for _, group in found.groupby("workload", sort=False) for part in _panels_of(group)
    ]
    return pd.concat(parts, ignore_index=True) if parts else found.assign(panel="", axis="", x=0)


def _panels_of(group: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Split one workload into panels, each with one axis; those where something grows, or one."""
    candidates = [
        part.assign(axis=axis, x=part[axis], panel=_title(axis, part.iloc[0]))
        for axis, fixed in AXES.items()
        for _, part in group.groupby(list(fixed))
    ]
    growing = [part for part in candidates if _sizes(part).max() > 1]
    yield from growing or candidates[:1]


def _sizes(frame: pd.DataFrame, by: str = "name") -> pd.Series[int]:
    """Count the different x of each label, or of each panel."""
    return frame.groupby(by)["x"].nunique()


def _title(axis: str, row: pd.Series) -> str:
    per_core = f"{row['workers_per_core']:g} {_plural('workers', row['workers_per_core'])} per core"
    fixed = {
        "cores": [per_core] + ([f"{row['nodes']} nodes"] if row["nodes"] > 1 else []),
        "workers": [f"{row['cores']} {_plural('cores', row['cores'])}"],
        "nodes": [f"{row['cores_per_node']} cores and {row['workers_per_node']} workers a node"],
    }[axis]
    return f"{row['workload']} · {', '.join(fixed)}"


def _plural(words: str, count: float) -> str:
    return words.removesuffix("s") if count == 1 else words


def draw(frame: pd.DataFrame) -> Figure:
    """Draw a row a workload and axis: throughput itself, and as a multiple of its own start."""
    titles, names = list(dict.fromkeys(frame["panel"])), _ranked(frame)
    figure, axes = panels(2 * len(titles), 2, (4.6, 3.9))
    aside = {name: 2 ** (SPREAD * ((n + 0.5) / len(names) - 0.5)) for n, name in enumerate(names)}
    frame = frame.assign(at=frame["x"] * frame["name"].map(aside))
    for row, title in enumerate(titles):
        part = frame[frame["panel"] == title]
        absolute, relative = axes[2 * row : 2 * row + 2]
        _draw_panel(absolute, part, ideal=True)
        _draw_panel(relative, pd.concat(_multiples(own) for _, own in part.groupby("name")))
        _dress(absolute, part, title)
        _dress_relative(relative, part)
    legend_below(figure, _legend(frame, names))
    return figure


def _ranked(frame: pd.DataFrame) -> list[str]:
    return list(frame.groupby("name")["y"].median().sort_values(ascending=False).index)


def _multiples(own: pd.DataFrame) -> pd.DataFrame:
    """Divide by the label's own mean at its smallest configuration; nothing if it has only one.

    The interval is left out: that of a ratio is another one (METHOD M12).
    """
    start = own[own["kind"] == "estimate"].sort_values("x").head(1)
    if start.empty or _sizes(own).max() == 1:
        return own.head(0)
    return own.assign(y=own["y"] / start["y"].iloc[0], low=np.nan, high=np.nan)


def _draw_panel(ax: Axes, part: pd.DataFrame, *, ideal: bool = False) -> None:
    trials, looks = part[part["kind"] == "trial"], part.drop_duplicates("name")
    if trials.empty:
        return
    sns.scatterplot(
        trials,
        x="at",
        y="y",
        hue="name",
        palette={look.name: colour_of(look.family) for look in each(looks)},
        style="name",
        markers={look.name: look.marker for look in each(looks)},
        s=16,
        alpha=0.35,
        legend=False,
        ax=ax,
    )
    for _, own in part[part["kind"] == "estimate"].groupby("name"):
        _draw_means(ax, own.sort_values("x"), ideal=ideal)


def _draw_means(ax: Axes, cells: pd.DataFrame, *, ideal: bool) -> None:
    colour, marker = colour_of(cells["family"].iloc[0]), cells["marker"].iloc[0]
    ax.plot(cells["at"], cells["y"], color=colour, linewidth=1.4, zorder=3)
    ax.vlines(cells["at"], cells["low"], cells["high"], color=colour, linewidth=2, zorder=3)
    for cell in each(cells):
        face = "white" if cell.node_mode in EMULATED else colour
        ax.plot(cell.at, cell.y, marker, color=colour, mfc=face, markersize=5.5, zorder=4)
    if ideal and len(cells) > 1:
        grown = cells["y"].iloc[0] * cells["x"] / cells["x"].iloc[0]
        ax.plot(cells["at"], grown, color=colour, linestyle=":", linewidth=1.1, alpha=0.8)


def _dress(ax: Axes, part: pd.DataFrame, title: str) -> None:
    steps = sorted(part["x"].unique())
    ax.set(xscale="log", yscale="log", ylabel="tasks per second", title=title)
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
    start = f"{steps[0]:g} {_plural(part['axis'].iloc[0], steps[0])}"
    ax.set_ylabel(f"times its own throughput at {start}")
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
    looks = frame.drop_duplicates("name").set_index("name").loc[list(names)]
    handles = [
        Line2D([], [], color=colour_of(look.family), marker=look.marker, label=name)
        for name, look in zip(names, each(looks), strict=True)
    ]
    handles.append(Line2D([], [], color=QUIET, linestyle=":", label="perfect scaling"))
    if modes := [mode for mode in EMULATED if (frame["node_mode"] == mode).any()]:
        hollow = " or ".join(modes)
        handles.append(Line2D([], [], color=INK, marker="o", mfc="white", ls="", label=hollow))
    return handles


def caption(frame: pd.DataFrame) -> str:
    """Say how to read it, and where there is nothing to compare."""
    text = (
        "Throughput of a burst: itself on the left (both axes logarithmic), and on the right as a "
        "multiple of each label's own mean at its smallest configuration. Faint marks are trials, "
        "large marks geometric means, bars intervals; dotted lines are perfect scaling."
    )
    for mode, meaning in EMULATED.items():
        if (frame["node_mode"] == mode).any():
            text += f" Hollow marks {meaning}."
    if (_sizes(frame, "panel") == 1).any():
        text += f" Where a panel says so, {ONE_POINT}."
    return text


SCALING = Chart("scaling", "Scaling", "valid burst trial with a throughput", data, draw, caption)
