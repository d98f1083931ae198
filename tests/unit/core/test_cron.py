"""Tests the instants of cron lines against croniter, the library that many backends use."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from lab.core.cron import BOUNDS, instants_s
from lab.core.errors import UsageError


def field(low: int, high: int) -> st.SearchStrategy[str]:
    """Return a strategy for a field: a star, a number, a range, a step, or a list of those."""
    number = st.integers(low, high)
    # Two different numbers, because croniter reads the weekday 0-0 as every day.
    pair = st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)
    part = st.one_of(
        number.map(str),
        pair.map(lambda p: f"{p[0]}-{p[1]}"),
        st.tuples(pair, st.integers(2, 9)).map(lambda p: f"{p[0][0]}-{p[0][1]}/{p[1]}"),
    )
    steps = st.integers(2, 20).map(lambda step: f"*/{step}")
    return st.just("*") | steps | st.lists(part, min_size=1, max_size=3).map(",".join)


DAYS = st.integers(1, 28)  # every month has these days, so every line has an instant soon
LINES = st.tuples(
    field(0, 59), field(0, 23), st.just("*") | DAYS.map(str), field(1, 12), field(0, 6)
).map(" ".join)


@given(LINES, st.integers(0, 4_000_000_000))
def test_instants_are_those_of_croniter(line: str, after_s: int) -> None:
    """The next three instants of any line are equal to the second."""
    # `implement_cron_bug`: as the cron daemon, also if a field of days begins with a star.
    begin = datetime.fromtimestamp(after_s, UTC)
    theirs = croniter(line, begin, implement_cron_bug=True)
    expected = [int(theirs.get_next(float)) for _ in range(3)]
    assert list(islice(instants_s(line, after_s), 3)) == expected


def test_instants_are_strictly_after_the_given_one() -> None:
    """An instant that equals the given one is left out."""
    assert list(islice(instants_s("* * * * *", 60.0), 2)) == [120, 180]
    assert list(islice(instants_s("* * * * *", 59.9), 2)) == [60, 120]


def test_sunday_has_two_numbers() -> None:
    """0 and 7 are the same day; the first Sunday of 1970 is the fourth of January."""
    assert next(instants_s("0 0 * * 7", 0)) == next(instants_s("0 0 * * 0", 0)) == 3 * 86_400


@pytest.mark.parametrize(
    "line", ["* * * *", "60 * * * *", "5-1 * * * *", "*/0 * * * *", "x * * * *", "0 0 31 2 *"]
)
def test_a_wrong_line_is_rejected(line: str) -> None:
    """It raises an error with one sentence, and does not search without end."""
    with pytest.raises(UsageError, match="Cron line"):
        next(instants_s(line, 0))


def test_every_field_is_checked() -> None:
    """A number beyond the bounds of its field is rejected in each of the five fields."""
    for index, (_, high) in enumerate(BOUNDS):
        fields = ["*"] * 5
        fields[index] = str(high + 1)
        with pytest.raises(UsageError):
            next(instants_s(" ".join(fields), 0))
