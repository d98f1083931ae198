"""Defines a kind of figure: its data, its drawing and its caption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from lab.analysis.queries import Tables


@dataclass(frozen=True, slots=True)
class Chart:
    """One kind of figure.

    Attributes:
        name: Stem of its files.
        title: Heading of its section.
        needs: What the campaign must contain; the report prints it if there is nothing to draw.
        data: Selects the tidy frame to draw from the tables; empty if nothing was measured. It is
            saved beside the picture as CSV, and drawing that CSV again gives the same picture.
        draw: Draws such a frame.
        caption: Describes such a frame. n, interval and noise are appended to every caption.
        has_faults: Whether it draws trials with faults; other figures get tables without them.
        has_environments: Whether environments are its axis; in the tables of other figures, each
            label ends with its environment.
    """

    name: str
    title: str
    needs: str
    data: Callable[[Tables], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    caption: Callable[[pd.DataFrame], str]
    # False by default, so that a new chart cannot show a failure as a headline number (METHOD M27).
    has_faults: bool = False
    has_environments: bool = False
