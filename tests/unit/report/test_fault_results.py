"""Tests the looks of results: words contrast with their squares, and squares with each other."""

from __future__ import annotations

import itertools
import re
from importlib import resources

import pytest

from lab.report.fault_results import ORDERED, RESULTS, RUNS_DOUBLED, RUNS_MISSED
from tests.factories.colours import VISION, contrast, distance

SCHEMES = ("light", "dark")


def colours(scheme: str) -> dict[str, tuple[str, str]]:
    """Return background and ink of each result in a colour scheme."""
    css = resources.files("lab.report").joinpath("faults.css.j2").read_text("utf-8")
    light, dark = css.split("@media (prefers-color-scheme: dark)")
    values = dict(re.findall(r"--([\w-]+): (#\w{6})", dark if scheme == "dark" else light))
    # A task that raised has the colours of one that the system reports as failed.
    results = [
        result for result in (*RESULTS, RUNS_MISSED, RUNS_DOUBLED) if result.name != "raised"
    ]
    names = [*(result.name for result in results), "ok"]
    return {name: (values[f"{name}-paper"], values[f"{name}-ink"]) for name in names}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_words_contrast_with_their_squares(scheme: str) -> None:
    """The contrast is at least 4.5 (WCAG, level AA)."""
    low = {name: contrast(*pair) for name, pair in colours(scheme).items()}
    assert {name: ratio for name, ratio in low.items() if ratio < 4.5} == {}


def test_no_sign_has_two_meanings() -> None:
    """A task that raised shares the sign of one that the system reports as failed."""
    others = [result.symbol for result in ORDERED if result.name != "raised"]
    assert len(set(others)) == len(others)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_squares_are_distinguishable(scheme: str, vision: str) -> None:
    """No two results have backgrounds that look equal with this vision."""
    papers = {name: paper for name, (paper, _) in colours(scheme).items()}
    distances = {
        pair: distance(papers[pair[0]], papers[pair[1]], vision)
        for pair in itertools.combinations(papers, 2)
    }
    assert {pair: d for pair, d in distances.items() if d < 0.07} == {}
