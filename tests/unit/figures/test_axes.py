"""Tests the axes of every figure with values that give an axis without width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lab.figures import FIGURES, Picture, draw
from lab.figures.waits import WAITS
from tests.factories.campaigns import SMALL, campaign


@pytest.mark.parametrize("name", FIGURES)
def test_values_that_differ_by_rounding_have_an_axis_with_a_width(
    name: str, pictures: Mapping[str, Picture]
) -> None:
    """The values differ, but their logarithms are equal in floating point."""
    data = pd.read_csv(pictures[name].stem.with_suffix(".csv"))
    for column in data.columns.intersection(["panel", "name", "x"]):
        data = data[data[column] == data[column].iloc[0]].reset_index(drop=True)
    values = data.columns.intersection(["y", "low", "high", "least", "estimate", "latency_s"])
    rounded = np.where(np.arange(len(data)) % 2, 1e6, np.nextafter(1e6, 2e6))
    limits = {"ci_low": 1e6, "ci_high": 1e6}
    figure = draw(FIGURES[name], data.assign(**dict.fromkeys(values, rounded), **limits))
    figure.draw_without_rendering()
    logarithmic = [ax.get_ylim() for ax in figure.axes if ax.get_yscale() == "log"]
    logarithmic += [ax.get_xlim() for ax in figure.axes if ax.get_xscale() == "log"]
    assert all(high > 1.1 * low for low, high in logarithmic)


@pytest.mark.parametrize(
    ("rates", "labels"),
    [
        ((70.0,), ["70"]),
        ((13.0, 40.0, 1_300.0), ["13", "40", "1.3\u2009k"]),
        # Those of a load sweep may be too close for a label each.
        ((70.0, 72.0, 900.0), ["70", "", "900"]),
    ],
)
def test_each_offered_rate_has_a_tick(rates: tuple[float, ...], labels: list[str]) -> None:
    """The decades of a logarithmic axis may lie outside its only rate."""
    frame = WAITS.data(campaign(replace(SMALL, blocks=2, rates_hz=rates)))
    ax = WAITS.draw(frame).axes[0]
    assert list(ax.get_xticks()) == [*rates]
    assert [text.get_text() for text in ax.get_xticklabels()] == labels
