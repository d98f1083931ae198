"""Declares one column of a table: its meaning, its unit, and since when it exists."""

from __future__ import annotations

from dataclasses import field
from typing import Any

# A clock reads 146 years at most, so that no difference of two instants overflows.
LATEST_NS = 2**62


def column(  # noqa: PLR0913 (each is one fact about a column, by name)
    about: str,
    unit: str = "",
    *,
    since: str = "1.0",
    fill: float | str = "",
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """Declare one column.

    Args:
        about: What the column holds.
        unit: Its unit; empty for a text or a plain count.
        since: The minor schema version that added it. A file of an earlier minor lacks the column;
            readers fill it with null, or with `fill` where the column may not be null.
        fill: The value in files without the column. A number that may not be null needs one, which
            must say what the earlier version did.
        least: The smallest value that can be, itself included; None: any finite one.
        most: The largest value that can be, itself included; None: any finite one.
    """
    about_it = {"about": about, "unit": unit, "since": since, "fill": fill}
    return field(metadata={**about_it, "least": least, "most": most})
