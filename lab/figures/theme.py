"""Defines the look of every figure: one theme, panels, legends and axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    EngFormatter,
    FixedFormatter,
    FixedLocator,
    LogLocator,
    NullLocator,
)

from lab.analysis.colours import FAMILY_COLOURS, SPARE_COLOURS, colour_of
from lab.analysis.labels import each

NARROWEST = 1.2  # upper end of a logarithmic axis over its lower end
TICK_LABEL = 0.1  # width of a label of an axis, as a share of the axis
LEGEND_IN = 2.2  # width of an entry of a legend below the panels
INK, QUIET, PAPER = "#1f2328", "#6b7280", "#ffffff"
GREY = "#9aa0a8"  # of numbers that do not count
GOOD, BAD = "#0a7a55", "#b3261e"
EDGE, GRID = "#c8ccd2", "#e7e9ec"
# Colour in a figure -> its colour on the dark page (lab/report/page.html.j2).
DARK: Mapping[str, str] = {
    **dict([*FAMILY_COLOURS.values(), *SPARE_COLOURS]),
    INK: "#e6e8eb",
    QUIET: "#9aa3ad",
    PAPER: "#1b1f24",
    EDGE: "#59616b",
    GRID: "#32383f",
    GREY: "#7d848d",
    GOOD: "#4cc79a",
    BAD: "#ff8a80",
}

STYLE: Mapping[Any, Any] = {
    **sns.axes_style("whitegrid"),
    **sns.plotting_context("notebook", font_scale=0.8),
    "figure.facecolor": PAPER,
    "axes.edgecolor": EDGE,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.linewidth": 0.8,
    "font.family": ["DejaVu Sans"],  # part of matplotlib, so that all machines draw the same
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "savefig.dpi": 200,
    "svg.hashsalt": "background-task-lab",  # otherwise every file has new ids
    "text.color": INK,
    # Hinted texts are wider or narrower at each resolution, and one that fits into the layout at
    # that of the figure is cut in the SVG.
    "text.hinting": "none",
    "text.parse_math": False,  # a name may contain a dollar sign
    "xtick.color": INK,
    "ytick.color": INK,
}


def theme() -> AbstractContextManager[None]:
    """Return a context in which matplotlib uses the common theme."""
    return mpl.rc_context(dict(STYLE))


def with_dark_version(svg: bytes) -> bytes:
    """Return a picture that has other colours where the reader prefers a dark page.

    One file serves both, because the colours are in a media query; programs that know no media
    queries, such as those for papers, show the light version.
    """
    rules = [
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    ]
    # matplotlib writes no fill where it is black, which is also the default of SVG.
    rules.append(f"svg{{fill:{DARK['#000000']}}}")
    style = f"<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style></defs>"
    return svg.replace(b"</defs>", style.encode(), 1)


def panels(
    count: int, columns: int, size: tuple[float, float], *, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels in a grid; `size` is width and height in inches."""
    columns = min(count, columns)
    rows = -(-count // columns)
    # Without pyplot, which keeps every figure in a global list until it is closed.
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey).flatten()
    for spare in axes[count:]:
        spare.remove()
    for ax in axes[:count]:
        sns.despine(ax=ax)
    return figure, list(axes[:count])


def label_handles(frame: pd.DataFrame, names: Sequence[str]) -> list[Line2D]:
    """Return legend entries for `names`, in that order, each in its family's colour."""
    looks = frame.drop_duplicates("name").set_index("name").loc[list(names)]
    return [
        Line2D([], [], color=colour_of(look.family), marker=look.marker, label=name)
        for name, look in zip(names, each(looks), strict=True)
    ]


def legend_below(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Add one legend for all panels below them."""
    columns = min(4, max(1, int(figure.get_figwidth() // LEGEND_IN)))
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=columns, columnspacing=1.6
    )


def legend_beside(ax: Axes, handles: Sequence[Line2D], title: str) -> None:
    """Add a panel's legend to the right of it, so that it covers no curve."""
    ax.legend(
        handles=list(handles),
        title=title,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(1.01, 1.02),
        borderaxespad=0,
    )


def logarithmic(ax: Axes, *names: Literal["x", "y"]) -> None:
    """Make axes logarithmic and at least `NARROWEST` wide; call it after drawing.

    Values that differ only by a rounding error give an axis without width: matplotlib widens equal
    limits, but divides by zero if only their logarithms are equal.
    """
    for name in names:
        low, high = ax.dataLim.intervalx if name == "x" else ax.dataLim.intervaly
        # Without data the lower limit is infinite and above the upper one.
        if low <= high < low * NARROWEST:
            ax.set(**{f"{name}lim": (low / NARROWEST, high * NARROWEST)})
        ax.set(**{f"{name}scale": "log"})


def ticks_at(axis: Axis, values: Iterable[float]) -> None:
    """Set a tick at each value of a logarithmic axis, with a label where there is room for it."""
    ticks = sorted(set(values))
    low, high = map(math.log, axis.get_view_interval())
    labels, free = [], -math.inf
    for tick in ticks:
        at = (math.log(tick) - low) / (high - low)
        labels.append(EngFormatter(sep="\u2009")(tick) if at >= free else "")
        free = at + TICK_LABEL if labels[-1] else free
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter(labels))
    axis.set_minor_locator(NullLocator())


def engineering(axis: Axis, unit: str = "") -> None:
    """Label a logarithmic axis as 10 µs, 1 ms, 20 k; below two decades also within a decade."""
    low, high = axis.get_view_interval()
    if high < low * 100:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(EngFormatter(unit=unit, sep="\u2009"))
    axis.set_minor_locator(NullLocator())
