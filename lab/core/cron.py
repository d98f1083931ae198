"""The instants that a cron line names, in UTC: five fields, as crontab(5) describes them.

Our own reading, so that no system's scheduler is judged by its own opinion (METHOD M26). Numbers,
``*``, ranges, steps and lists; names of months and days are not read.
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
# A line that names no day of eight years (a leap day among them) names none at all.
LOOK_DAYS = 8 * 366


def instants_s(line: str, after_s: float) -> Iterator[int]:
    """Yield the instants after `after_s` that a line names, in seconds since 1970, ascending.

    Raises:
        UsageError: The line is no cron line, or names no instant.
    """
    minutes, hours, days, months, weekdays = _fields(line)
    # Where both days are restricted, either is enough: crontab(5).
    either = not line.split()[2].startswith("*") and not line.split()[4].startswith("*")
    found = first = int(after_s // DAY_S)
    for day in itertools.count(first):
        if day - found > LOOK_DAYS:
            raise UsageError(f"Cron line {line!r} names no instant.")
        t = datetime.fromtimestamp(day * DAY_S, UTC)
        in_month, in_week = t.day in days, t.isoweekday() % 7 in weekdays
        is_day = in_month or in_week if either else in_month and in_week
        if t.month in months and is_day:
            found = day
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
            raise UsageError(f"Cron line {line!r}: {part!r} is no number, range, step or *.")
        low = int(match["low"] or lowest)
        # A number alone is itself; with a step it goes on to the end, as `*` does.
        alone = match["low"] is not None and match["step"] is None
        high = int(match["high"] or (low if alone else highest))
        if not lowest <= low <= high <= highest:
            raise UsageError(f"Cron line {line!r}: {part!r} is not in {lowest}-{highest}.")
        numbers |= set(range(low, high + 1, int(match["step"] or 1)))
    return numbers
