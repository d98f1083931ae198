"""Formats numbers for the report: three significant digits; the heading has the unit."""

from __future__ import annotations

import math
from collections.abc import Sequence

NOT_MEASURED = "not measured"
REFUSED = "refused"  # the trials cannot support the number
MILLION, THOUSANDTH = 1e6, 1e-3
# A longer list is no sentence; tables have the rest.
MOST_NAMES = 6


def digits(value: float) -> str:
    """Format a number with three significant digits: 2.57 M, 12,300, 81.3 and 0.0023."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    # Rounded before the unit is chosen: 999,600 must become 1.00 M and not 1,000,000.
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= MILLION:
        return f"{digits(rounded / MILLION)} M"
    if abs(rounded) < THOUSANDTH:
        return f"{rounded:.2e}"
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def percent(share: float) -> str:
    """Format a share as percent with two significant digits: 0.0031 becomes 0.31 %."""
    points = share * 100
    return f"{points:.0f} %" if abs(points) >= 10 else f"{points:.2g} %"  # noqa: PLR2004


def plural(count: int, noun: str) -> str:
    """Format a count with its noun: 1 trial, 2 trials."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def enumeration(names: Sequence[str]) -> str:
    """Join names for a sentence: a, "a and b", "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def listed(names: Sequence[str], separator: str = ", ") -> str:
    """Join the first `MOST_NAMES` names, and count the others: "a, b, c, d, e, f, and 3 more"."""
    more = len(names) - MOST_NAMES
    return separator.join([*names[:MOST_NAMES], *([f"and {more} more"] if more > 0 else [])])


def seconds(value: float) -> str:
    """Format a duration in s, ms or us: 0.42 us, 11.2 ms, 3.1 s."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if abs(value) >= scale:
            return f"{digits(value / scale)} {unit}"
    return f"{digits(value / 1e-6)} us"
