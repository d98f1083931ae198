"""Tests numbers that are beyond what is possible: marked or refused, never shown as measured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lab.core.model import Estimate
from lab.report.answers.queries import estimate_text, times
from lab.report.limits import limit_of
from lab.report.number_format import seconds
from lab.report.numbers import written
from tests.factories.rows import a_row


@pytest.mark.parametrize(
    ("value", "low", "high"), [(1.0, 0.5, 1.5), (0.2, -0.1, 0.5), (0.2, None, None), (0.0, 0, 0)]
)
def test_a_possible_number_has_no_limit(
    value: float, low: float | None, high: float | None
) -> None:
    """An interval that reaches below zero is shown as it is: the number itself is possible."""
    assert limit_of(value, low, high, least=0.0) is None


def test_an_impossible_number_with_a_possible_end_is_not_distinguishable() -> None:
    """Its interval contains the limit."""
    below = limit_of(-0.2, -0.5, 0.1, least=0.0)
    above = limit_of(2.1, 1.8, 2.4, most=2.0)
    assert below
    assert above
    assert (below.value, below.is_refused) == (0.0, False)
    assert (above.value, above.is_refused) == (2.0, False)


@pytest.mark.parametrize(("low", "high"), [(-0.5, -0.1), (None, None)])
def test_an_impossible_interval_is_refused_with_the_cause(
    low: float | None, high: float | None
) -> None:
    """So is an impossible number without an interval."""
    limit = limit_of(-0.2, low, high, least=0.0)
    assert limit
    assert limit.is_refused
    assert limit.reason.startswith("it is below 0, which is impossible: the CPU ran faster")


def overhead(value: float, low: float | None, high: float | None) -> Any:
    """Return an estimate of the overhead of a task, with the name of its label."""
    row = a_row("estimate", metric="overhead_s_per_task", estimate=value, ci_low=low, ci_high=high)
    return SimpleNamespace(**{n: getattr(row, n) for n in row.__dataclass_fields__}, name="dask")


def test_an_overhead_below_zero_is_shown_as_not_distinguishable() -> None:
    """Table and sentence have the interval, and the sorted value is zero."""
    near = overhead(-545e-6, -900e-6, 100e-6)
    number = written(near, 1e6, "7 trials")
    assert (number.text, number.value) == ("not distinguishable from 0", 0.0)
    assert number.interval == "-900 to 100"
    assert estimate_text(near, seconds) == ("dask not distinguishable from 0 (-900 us to 100 us)")


def test_an_overhead_far_below_zero_is_refused() -> None:
    """It has no value to rank."""
    far = overhead(-545e-6, -900e-6, -100e-6)
    number = written(far, 1e6, "7 trials")
    assert (number.text, number.value) == ("refused", None)
    assert "it is below 0, which is impossible" in number.note
    assert estimate_text(far, seconds).startswith("dask refused (-545 us: it is below 0")


def test_a_gain_above_the_ratio_of_the_workers_is_not_shown_as_measured() -> None:
    """2.45 times on twice the workers, with and without an interval around 2."""
    near = Estimate(2.45, 1.9, 3.0, 0.95, 6, "t")
    few = Estimate(2.45, None, None, 0.95, 3, "t")
    assert times(near, most=2) == "not distinguishable from 2 times (1.90 to 3.00)"
    assert times(few, most=2).startswith("2.45 times, which is refused, because it is above 2")
    assert "no interval: 3 of the 5 blocks that it needs" in times(few, most=2)
    assert times(near) == "2.45 times (1.90 to 3.00)"
