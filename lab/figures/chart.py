"""What a figure is: the data it is drawn from, a drawing of exactly that, and a caption."""

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
        needs: What a campaign must hold for it, to be said where there is nothing to draw.
        data: The tidy frame it is drawn from; empty when nothing was measured. It goes beside the
            picture as CSV, and drawing that CSV again gives the same picture.
        draw: The picture of such a frame.
        caption: What such a picture shows, beyond n, interval and noise, which every caption says.
    """

    name: str
    title: str
    needs: str
    data: Callable[[Tables], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    caption: Callable[[pd.DataFrame], str]
