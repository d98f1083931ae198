"""Figures: pure functions from the tidy tables to pictures that say what they rest on.

A new figure is one file with one `Chart`, added to `FIGURES`. Every picture is PNG and SVG beside
the CSV it was drawn from, carries n, the interval's method and the spec hash as metadata (METHOD
M34), and is the same to the byte whenever it is drawn from the same tables.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from lab.analysis.queries import Tables
from lab.core import files
from lab.figures.chart import Chart
from lab.figures.cost import COST
from lab.figures.granularity import GRANULARITY
from lab.figures.history import OVER_TIME
from lab.figures.latency import LATENCY
from lab.figures.load import LOAD
from lab.figures.memory import MEMORY
from lab.figures.overhead import OVERHEADS
from lab.figures.provenance import facts, sentence
from lab.figures.scaling import SCALING
from lab.figures.schedule import SCHEDULE
from lab.figures.theme import theme

__all__ = ["FIGURES", "Chart", "Picture", "Tables", "draw", "save", "write"]

FIGURES: Mapping[str, Chart] = {
    chart.name: chart
    for chart in (
        *(SCALING, LATENCY, LOAD, OVERHEADS, GRANULARITY),
        *(COST, MEMORY, SCHEDULE, OVER_TIME),
    )
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure that was drawn: its words, what it rests on, and its file without the ending."""

    chart: Chart
    caption: str
    metadata: Mapping[str, str]
    stem: Path


def draw(chart: Chart, data: pd.DataFrame) -> Figure:
    """Draw a chart's data in the one theme, leaving no global state behind."""
    with theme():
        return chart.draw(data)


def save(chart: Chart, tables: Tables, folder: Path) -> Picture | None:
    """Write a chart as SVG, PNG and CSV into a folder; None when there is nothing to draw.

    Drawing the CSV again gives the same picture to the byte.

    Raises:
        ResultsError: A file cannot be written, or the folder is a symbolic link.
    """
    data = chart.data(tables)
    if data.empty:
        return None
    found = facts(chart.name, data, tables)
    words = f"{chart.caption(data)} {sentence(found)}"
    picture = Picture(chart, words, found, folder / chart.name)
    _put(picture, ".csv", data.to_csv(index=False, lineterminator="\n").encode())
    write(draw(chart, data), picture)
    return picture


def write(figure: Figure, picture: Picture) -> None:
    """Write a drawn figure as SVG and PNG, with what it rests on as metadata in both.

    Text and panels are placed once, for both: `Figure.savefig` would do it again for each.

    Raises:
        ResultsError: A file cannot be written, or the folder is a symbolic link.
    """
    found = dict(picture.metadata)
    about = {"Title": picture.chart.title, "Description": json.dumps(found, sort_keys=True)}
    svg, png = io.BytesIO(), io.BytesIO()
    with theme():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        # No date and no version: equal tables must give equal bytes.
        FigureCanvasSVG(figure).print_svg(svg, metadata={**about, "Date": None})  # type: ignore[no-untyped-call]
        figure.set_dpi(mpl.rcParams["savefig.dpi"])
        own = {**about, **found, "Software": None}
        FigureCanvasAgg(figure).print_png(png, metadata=own)  # type: ignore[no-untyped-call]
    _put(picture, ".svg", svg.getvalue())
    _put(picture, ".png", png.getvalue())


def _put(picture: Picture, ending: str, data: bytes) -> None:
    """Write one file of a picture; its folder may be in a run that anybody may have filled."""
    path = picture.stem.with_suffix(ending)
    files.put(path, data, path.parent.parent)
