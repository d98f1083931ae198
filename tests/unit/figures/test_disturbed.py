"""Tests that disturbed numbers are hollow, grey, last in every order, and in the legend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.core.model import Flag
from lab.figures import FIGURES, Tables, draw, save
from lab.figures.disturbed import LABEL
from lab.figures.theme import GREY, PAPER
from tests.factories.bursts import overheads, whole
from tests.factories.disturbed import with_disturbed

CHARTS = ("scaling", "load", "overhead", "granularity", "cost", "memory")
DISTURBED = "rq[worker]@default"


@pytest.fixture(scope="module")
def grid() -> Tables:
    """Return a campaign of several task lengths."""
    return whole(overheads())


def disturbed(name: str, synthetic: Tables, grid: Tables) -> Tables:
    """Return the tables of a chart, with one disturbed label."""
    tables = grid if name == "granularity" else synthetic
    labels = sorted(set(tables["trial"]["label"]))
    return with_disturbed(tables, DISTURBED if DISTURBED in labels else labels[-1])


def hollow(figure: Figure) -> Iterator[Line2D]:
    """Yield the hollow grey marks of all panels."""
    for ax in figure.axes:
        for line in ax.get_lines():
            edge, face = line.get_markeredgecolor(), line.get_markerfacecolor()
            is_hollow = (to_hex(str(edge)), to_hex(str(face))) == (GREY, PAPER)
            if is_hollow and len(np.asarray(line.get_xdata())):
                yield line


@pytest.mark.parametrize("name", CHARTS)
def test_a_disturbed_number_is_hollow_grey_and_in_the_legend(
    name: str, synthetic: Tables, grid: Tables, tmp_path: Path
) -> None:
    """Each has one mark; without one, the legend has no such entry."""
    tables = disturbed(name, synthetic, grid)
    data = FIGURES[name].data(tables)
    rows = data[data["kind"] == Flag.DISTURBED]
    assert len(rows)
    assert set(rows["n_trials"].isna()) == {True}
    figure = draw(FIGURES[name], data)
    assert list(hollow(figure))
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes)]
    texts = [text.get_text() for legend in legends if legend for text in legend.get_texts()]
    assert LABEL in texts
    picture = save(FIGURES[name], tables, tmp_path)
    assert picture is not None
    assert "cells in which every trial was disturbed; not ranked" in picture.caption
    csv = pd.read_csv(picture.stem.with_suffix(".csv"))
    assert len(list(hollow(draw(FIGURES[name], csv)))) == len(list(hollow(figure)))


@pytest.mark.parametrize("name", CHARTS)
def test_without_disturbed_numbers_nothing_is_hollow_and_grey(
    name: str, synthetic: Tables, grid: Tables
) -> None:
    """The legend has the entry only where it is needed."""
    data = FIGURES[name].data(grid if name == "granularity" else synthetic)
    assert not list(hollow(draw(FIGURES[name], data)))


@pytest.mark.parametrize("name", ["overhead", "memory", "cost"])
def test_a_disturbed_system_is_the_last_row(name: str, synthetic: Tables, grid: Tables) -> None:
    """Its number is shown and never ranked, whatever its size."""
    tables = disturbed(name, synthetic, grid)
    data = FIGURES[name].data(tables)
    is_disturbed = data["kind"] == Flag.DISTURBED
    small = data.assign(y=data["y"].where(~is_disturbed, data["y"].min() / 10))
    rows = [label.get_text() for label in draw(FIGURES[name], small).axes[0].get_yticklabels()]
    assert rows[-1].partition("\n")[0] == small.loc[is_disturbed, "name"].iloc[0]
