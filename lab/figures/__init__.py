"""Draws figures from the tables of a run and saves each as SVG, PNG and CSV.

A new figure is one file with one `Chart`, added to `FIGURES`. The metadata of a picture contains n,
the method of the interval and the spec hash (METHOD M34). Equal tables give equal files, byte for
byte.
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

from lab.analysis.environments import LabelledByEnvironment
from lab.analysis.queries import Tables, WithoutFaults
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
from lab.figures.round_trip import ROUND_TRIPS
from lab.figures.scaling import SCALING
from lab.figures.schedule import SCHEDULE
from lab.figures.theme import theme, with_dark_version
from lab.figures.timeline import TIMELINE
from lab.figures.versions import VERSIONS
from lab.figures.waits import WAITS

__all__ = ["FIGURES", "Chart", "Picture", "Tables", "draw", "save", "write"]

FIGURES: Mapping[str, Chart] = {
    chart.name: chart
    for chart in (
        *(TIMELINE, WAITS, SCALING, LATENCY, LOAD, OVERHEADS, GRANULARITY),
        *(ROUND_TRIPS, COST, MEMORY, SCHEDULE, VERSIONS, OVER_TIME),
    )
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure that was drawn and saved.

    Attributes:
        chart: The kind of figure.
        caption: Its caption.
        metadata: n, interval method, spec hash and more; see `facts`.
        stem: Path of its files, without the suffix.
    """

    chart: Chart
    caption: str
    metadata: Mapping[str, str]
    stem: Path


def draw(chart: Chart, data: pd.DataFrame) -> Figure:
    """Draw a chart's data in the common theme, without changing global state."""
    with theme():
        return chart.draw(data)


def save(chart: Chart, tables: Tables, folder: Path) -> Picture | None:
    """Write a chart as SVG, PNG and CSV into a folder; return None if there is nothing to draw.

    Drawing the CSV again gives the same picture, byte for byte.

    Raises:
        ResultsError: A file cannot be written, or the folder is a symbolic link.
    """
    # A rate or a latency that includes a failure is no headline number (METHOD M27).
    tables = tables if chart.has_faults else WithoutFaults(tables)
    tables = tables if chart.has_environments else LabelledByEnvironment(tables)
    data = chart.data(tables)
    if data.empty:
        return None
    metadata = facts(chart.name, data, tables)
    caption = f"{chart.caption(data)} {sentence(metadata)}"
    picture = Picture(chart, caption, metadata, folder / chart.name)
    # pandas ends lines as the operating system does; equal tables must give equal bytes everywhere.
    _put(picture, ".csv", data.to_csv(index=False, lineterminator="\n").encode())
    write(draw(chart, data), picture)
    return picture


def write(figure: Figure, picture: Picture) -> None:
    """Write a drawn figure as SVG and PNG, both with the picture's metadata.

    The layout is computed once; `Figure.savefig` would compute it for each format.

    Raises:
        ResultsError: A file cannot be written, or the folder is a symbolic link.
    """
    metadata = dict(picture.metadata)
    title = {"Title": picture.chart.title, "Description": json.dumps(metadata, sort_keys=True)}
    # Both pictures are complete before a file is written, so an error while drawing leaves neither.
    svg, png = io.BytesIO(), io.BytesIO()
    with theme():
        # Drawing runs the layout engine; after its removal it does not run again for each format.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        # Without date and version, so that equal tables give equal bytes.
        FigureCanvasSVG(figure).print_svg(svg, metadata={**title, "Date": None})  # type: ignore[no-untyped-call]
        # `Figure.savefig` would apply this setting; the canvas alone uses the figure's own dpi.
        figure.set_dpi(mpl.rcParams["savefig.dpi"])
        texts = {**title, **metadata, "Software": None}
        FigureCanvasAgg(figure).print_png(png, metadata=texts)  # type: ignore[no-untyped-call]
    _put(picture, ".svg", with_dark_version(svg.getvalue()))
    _put(picture, ".png", png.getvalue())


def _put(picture: Picture, suffix: str, data: bytes) -> None:
    """Write one file of a picture, without following links: the run folder is not trusted."""
    path = picture.stem.with_suffix(suffix)
    files.put(path, data, path.parent.parent)
