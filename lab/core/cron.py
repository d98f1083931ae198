"""Computes the instants of a cron line with five fields, in UTC, as defined in crontab(5).

The implementation is independent of the tested schedulers, which are judged by it (METHOD M26). It
supports numbers, ``*``, ranges, steps and lists, but no names of months and days.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from lab.core.errors import UsageError

DAY_S = 86_400
# Minute, hour, day of the month, month, day of the week; Sunday is 0 and 7.
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
PART = re.compile(r"(?:\*|(?P<low>\d+)(?:-(?P<high>\d+))?)(?:/(?P<step>[1-9]\d*))?")
# A line without a day in eight years, which include a leap day, has no day at all.
LOOK_DAYS = 8 * 366


def instants_s(line: str, after_s: float) -> Iterator[int]:
    """Yield the instants of a cron line after `after_s`, in seconds since 1970, ascending.

    Raises:
        UsageError: The line is not a cron line, or has no instant.
    """
    minutes, hours, days, months, weekdays = _fields(line)
    # If both fields of days are restricted, a match of either is enough: crontab(5).
    either = not line.split()[2].startswith("*") and not line.split()[4].startswith("*")
    last_match = first = int(after_s // DAY_S)
    for day in itertools.count(first):
        if day - last_match > LOOK_DAYS:
            raise UsageError(f"Cron line {line!r} matches no date.")
        t = datetime.fromtimestamp(day * DAY_S, UTC)
        in_month, in_week = t.day in days, t.isoweekday() % 7 in weekdays
        is_day = in_month or in_week if either else in_month and in_week
        if t.month in months and is_day:
            last_match = day
            for hour, minute in itertools.product(sorted(hours), sorted(minutes)):
                second = day * DAY_S + hour * 3_600 + minute * 60
                if second > after_s:
                    yield second


def _fields(line: str) -> list[set[int]]:
    texts = line.split()
    if len(texts) != len(BOUNDS):
        raise UsageError(f"Cron line {line!r} has {len(texts)} fields, not {len(BOUNDS)}.")
    fields = [_numbers(line, text, *bounds) for text, bounds in zip(texts, BOUNDS, strict=True)]
    fields[-1] = {day % 7 for day in fields[-1]}
    return fields


def _numbers(line: str, text: str, lowest: int, highest: int) -> set[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        match = PART.fullmatch(part)
        if match is None:
            raise UsageError(f"Cron line {line!r}: {part!r} is not a number, range, step or *.")
        low = int(match["low"] or lowest)
        # A single number is itself; with a step it is a range up to the end, as for `*`.
        is_single = match["low"] is not None and match["step"] is None
        high = int(match["high"] or (low if is_single else highest))
        if not lowest <= low <= high <= highest:
            raise UsageError(f"Cron line {line!r}: {part!r} is not in {lowest}-{highest}.")
        numbers |= set(range(low, high + 1, int(match["step"] or 1)))
    return numbers
