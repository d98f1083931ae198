"""Declares one column of a table: its meaning, its unit, and since when it exists."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def column(about: str, unit: str = "", *, since: str = "1.0", fill: float | str = "") -> Any:
    """Declare one column.

    Args:
        about: What the column holds.
        unit: Its unit; empty for a text or a plain count.
        since: The minor schema version that added it. A file of an earlier minor lacks the column;
            readers fill it with null, or with `fill` where the column may not be null.
        fill: The value in files without the column. A number that may not be null needs one, which
            must say what the earlier version did.
    """
    return field(metadata={"about": about, "unit": unit, "since": since, "fill": fill})
