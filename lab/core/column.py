"""Declares one column of a table: its meaning, its unit, and the version that added it."""

from __future__ import annotations

from dataclasses import field
from typing import Any

# 146 years: the difference of any two instants fits into 64 bits.
LATEST_NS = 2**62


def column(  # noqa: PLR0913 (each is one keyword of a declaration)
    about: str,
    unit: str = "",
    *,
    since: str = "2.0",
    fill: float | str = "",
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """Declare one column.

    Args:
        about: The meaning of the column.
        unit: The unit; empty for a text or a plain count.
        since: The schema version that added the column. A file of an earlier minor lacks it;
            readers fill it with null, or with `fill` if the column may not be null.
        fill: The value for files without the column, equal to the behaviour of the earlier
            versions. A number that may not be null needs one.
        least: The smallest possible value, inclusive; None: any finite value.
        most: The largest possible value, inclusive; None: any finite value.
    """
    return field(
        metadata={
            "about": about,
            "unit": unit,
            "since": since,
            "fill": fill,
            "least": least,
            "most": most,
        }
    )
