"""Defines the colour of each family of systems, on a light and on a dark background.

The light colours are the palette of Okabe and Ito (without its yellow, which is too pale on white)
and more. Tests ensure that all of them differ, also without one of the three kinds of cones, and
contrast with their background.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

FAMILY_COLOURS: Mapping[str, tuple[str, str]] = {
    "reference": ("#000000", "#ffffff"),
    "threads": ("#56b4e9", "#56b4e9"),
    "processes": ("#0072b2", "#0072b2"),
    "asyncio": ("#e69f00", "#e69f00"),
    "joblib": ("#882211", "#bb4400"),
    "dask": ("#cc79a7", "#cc79a7"),
    "celery": ("#009e73", "#009e73"),
    "apscheduler": ("#332288", "#9966ff"),
    "rq": ("#d55e00", "#d55e00"),
    "django-q": ("#aa2277", "#cc22cc"),
    "django-crontab": ("#99bb77", "#99bb77"),
    "dramatiq": ("#885533", "#99dd88"),
    "huey": ("#cc00aa", "#225588"),
    "taskiq": ("#220022", "#884444"),
    "django-tasks": ("#000055", "#4411ff"),
    "procrastinate": ("#440000", "#7711bb"),
    "pebble": ("#8822ff", "#ddaabb"),
    "ray": ("#554444", "#ccffbb"),
}
"""Family -> its colours on a light and on a dark background."""
# A family that is not in this table, of another package, gets one of these, chosen by its name.
SPARE_COLOURS = (("#9966ff", "#88ff77"), ("#3311dd", "#eeccdd"), ("#552244", "#776677"))


def colour_of(family: str) -> str:
    """Return the colour of a family, which is the same in every figure of every campaign."""
    return _colours(family)[0]


def dark_colour_of(family: str) -> str:
    """Return the colour of a family on a dark background."""
    return _colours(family)[1]


def _colours(family: str) -> tuple[str, str]:
    # Python's `hash` of a text differs between processes (PYTHONHASHSEED), this sum does not.
    spare = SPARE_COLOURS[zlib.crc32(family.encode()) % len(SPARE_COLOURS)]
    return FAMILY_COLOURS.get(family, spare)
