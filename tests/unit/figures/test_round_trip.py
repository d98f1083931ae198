"""Tests the figure of round trips: its rows are ordered, and hold round trips only."""

from __future__ import annotations

from lab.analysis.queries import Tables
from lab.figures import draw
from lab.figures.round_trip import ROUND_TRIPS, data
from tests.factories.round_trips import MS, TAKES_MS, with_round_trips


def test_the_fastest_client_is_on_top_and_bursts_are_left_out(synthetic: Tables) -> None:
    """A mark has the median of its trials, in seconds."""
    frame = data(with_round_trips(synthetic))
    assert set(frame["arrival"]) == {"round-trip"}
    (axes,) = draw(ROUND_TRIPS, frame).axes
    families = dict(zip(frame["name"], frame["family"], strict=True))
    names = [text.get_text() for text in axes.get_yticklabels()]
    took = [TAKES_MS[families[name]] for name in names]
    assert took == sorted(took)
    assert len(set(took)) == 3
    slowest = frame[(frame["family"] == "rq") & (frame["kind"] == "estimate")]
    assert abs(slowest["y"].iloc[0] / (30 * MS / 1e9) - 1) < 0.1
