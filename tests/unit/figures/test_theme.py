"""Tests names in figures, as short as is unambiguous, and dark version and layout of pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lab.analysis.labels import identify
from lab.analysis.queries import workload_names
from lab.figures import FIGURES, Picture
from lab.figures.theme import DARK, theme
from tests.factories.campaigns import Campaign, trials_of


@pytest.fixture(scope="module")
def trials() -> pd.DataFrame:
    """Return one block of every synthetic backend."""
    return pd.DataFrame(trials_of(Campaign(blocks=1)))


def test_names_omit_only_common_parts(trials: pd.DataFrame) -> None:
    """The variant is omitted if a backend has one, the profile if all are default."""
    names = identify(trials).set_index("label")["name"]
    assert names["inline[call]@default"] == "inline"
    assert names["rq[worker]@default"] == "rq[worker]"
    safe = trials.assign(profile="safe", label=trials["label"].str.replace("default", "safe"))
    both = identify(pd.concat([trials, safe]))["name"]
    assert both.is_unique
    assert {"inline@default", "rq[worker]@safe"} < set(both)


def test_a_workload_with_several_sizes_is_named_with_its_size(trials: pd.DataFrame) -> None:
    """Two sizes of a workload have different names."""
    payload = trials.head(2).assign(workload="payload", size=[1, 1024], size_unit="B", nominal_ns=0)
    assert list(workload_names(payload)) == ["payload 1 B", "payload 1,024 B"]


@pytest.mark.parametrize("name", FIGURES)
def test_every_colour_of_a_picture_has_a_dark_version(
    name: str, pictures: Mapping[str, Picture]
) -> None:
    """The picture has both versions; a colour without a dark one would be unreadable."""
    svg = pictures[name].stem.with_suffix(".svg").read_text(encoding="utf-8")
    drawn = re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg.partition("</style></defs>")[2])
    assert set(drawn) <= set(DARK)
    assert "prefers-color-scheme:dark" in svg


def test_a_text_has_the_same_width_at_every_resolution() -> None:
    """The layout is computed at one, and a wider text would be cut at that of a file."""
    widths = []
    with theme():
        for dpi in (72, 100, 200):
            figure = Figure(dpi=dpi)
            FigureCanvasAgg(figure)
            text = figure.text(0, 0, "raw-redis[small+pipelined-100]", size=8.8)
            widths.append(text.get_window_extent().width / dpi)
    assert max(widths) < min(widths) * 1.005
