"""Draws the numbers of disturbed trials: hollow and grey, and never ranked (METHOD M23).

Only cells in which no trial counts have such a number; `lab.analysis.queries.points` has it as rows
of the kind ``disturbed``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lab.core.model import Flag
from lab.figures.theme import GREY, PAPER

LABEL = "disturbed, not ranked"


def of_counted(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose trials count, which decide the order of a figure."""
    return frame[frame["kind"] != Flag.DISTURBED]


def ranked_last(names: Sequence[str], frame: pd.DataFrame) -> list[str]:
    """Return ranked names, then those of a frame that have disturbed numbers only."""
    return list(dict.fromkeys([*names, *sorted(set(frame["name"]) - set(names))]))


def draw_marks(ax: Axes, x: Any, y: Any, marker: str = "o") -> None:
    """Draw one hollow grey mark for each pair of coordinates."""
    ax.plot(x, y, **_look(marker))


def legend_entries(frame: pd.DataFrame) -> list[Line2D]:
    """Return the legend's entry if a frame has a disturbed number."""
    is_there = (frame["kind"] == Flag.DISTURBED).any()
    return [Line2D([], [], label=LABEL, **_look("o"))] if is_there else []


def _look(marker: str) -> dict[str, Any]:
    look = {"color": GREY, "mec": GREY, "mfc": PAPER, "mew": 1.3, "markersize": 6.0}
    return {**look, "marker": marker, "linestyle": "", "zorder": 3}
