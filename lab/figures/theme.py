"""How every figure looks: one theme, one colour a family for ever, one marker a label.

Colours follow the family of systems, so a reader learns them once. They are Okabe and Ito's
palette (without its yellow, too pale on white) and four more; the test holds all of them apart for
readers with protanopia and deuteranopia too, and dark enough for a white ground.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from lab.analysis.labels import each

FAMILY_COLOURS: Mapping[str, str] = {
    "reference": "#000000",
    "threads": "#56b4e9",
    "processes": "#0072b2",
    "asyncio": "#e69f00",
    "joblib": "#882211",
    "dask": "#cc79a7",
    "celery": "#009e73",
    "apscheduler": "#332288",
    "rq": "#d55e00",
    "django-q": "#aa2277",
    "django-crontab": "#77bb88",
}
# A family that this table does not know keeps one of these, chosen by its name alone.
SPARE_COLOURS = ("#5588ff", "#888833", "#996633")
NARROWEST = 1.2  # upper end of a logarithmic axis over its lower end
LEGEND_IN = 2.2  # width of an entry of a legend below the panels
INK, QUIET, PAPER = "#1f2328", "#6b7280", "#ffffff"

STYLE: Mapping[Any, Any] = {
    **sns.axes_style("whitegrid"),
    **sns.plotting_context("notebook", font_scale=0.8),
    "figure.facecolor": PAPER,
    "axes.edgecolor": "#c8ccd2",
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.linewidth": 0.8,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so that every machine draws the same
    "grid.color": "#e7e9ec",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "savefig.dpi": 200,
    "svg.hashsalt": "background-task-lab",  # else every file has new ids
    "text.color": INK,
    "text.parse_math": False,  # a name is text, whatever signs it holds
    "xtick.color": INK,
    "ytick.color": INK,
}


def theme() -> AbstractContextManager[None]:
    """Hold matplotlib to the one theme within a block, and to nothing after it."""
    return mpl.rc_context(dict(STYLE))


def colour_of(family: str) -> str:
    """Return the one colour of a family, in every figure of every campaign."""
    spare = SPARE_COLOURS[zlib.crc32(family.encode()) % len(SPARE_COLOURS)]
    return FAMILY_COLOURS.get(family, spare)


def panels(
    count: int, columns: int, size: tuple[float, float], *, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """Make a figure with `count` panels in a grid; `size` is one panel's, in inches."""
    columns = min(count, columns)
    rows = -(-count // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey).flatten()
    for spare in axes[count:]:
        spare.remove()
    for ax in axes[:count]:
        sns.despine(ax=ax)
    return figure, list(axes[:count])


def label_handles(frame: pd.DataFrame, names: Sequence[str]) -> list[Line2D]:
    """Make a legend's entries of labels in the order of `names`, each in its family's colour."""
    looks = frame.drop_duplicates("name").set_index("name").loc[list(names)]
    return [
        Line2D([], [], color=colour_of(look.family), marker=look.marker, label=name)
        for name, look in zip(names, each(looks), strict=True)
    ]


def legend_below(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Put one legend for all panels under them, as wide as they are."""
    columns = min(4, max(1, int(figure.get_figwidth() // LEGEND_IN)))
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=columns, columnspacing=1.6
    )


def legend_beside(ax: Axes, handles: Sequence[Line2D], title: str) -> None:
    """Put a panel's own legend to the right of it, so that it hides no curve."""
    ax.legend(
        handles=list(handles),
        title=title,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(1.01, 1.02),
        borderaxespad=0,
    )


def logarithmic(ax: Axes, *names: Literal["x", "y"]) -> None:
    """Make axes logarithmic and at least `NARROWEST` wide, once everything is drawn on them.

    Values that differ by a rounding error only would leave no width at all: matplotlib widens
    limits that are equal, and divides by zero where their logarithms are.
    """
    for name in names:
        low, high = ax.dataLim.intervalx if name == "x" else ax.dataLim.intervaly
        if low <= high < low * NARROWEST:
            ax.set(**{f"{name}lim": (low / NARROWEST, high * NARROWEST)})
        ax.set(**{f"{name}scale": "log"})


def engineering(axis: Axis, unit: str = "") -> None:
    """Label a logarithmic axis as 10 µs, 1 ms, 20 k; between decades too where there are few."""
    low, high = axis.get_view_interval()
    if high < low * 100:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(EngFormatter(unit=unit, sep="\u2009"))
    axis.set_minor_locator(NullLocator())
