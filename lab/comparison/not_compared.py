"""Words which metrics a comparison leaves out, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from lab.comparison.inputs import Side

UNMEASURED = "not measured"


def not_compared(a: Side, b: Side, compared: Collection[str], wanted: Sequence[str]) -> str:
    """Return a sentence about the wanted metrics that were not compared; empty if there are none.

    Args:
        a: The baseline side.
        b: The side that is judged.
        compared: The names of the compared metrics.
        wanted: The names of the metrics that should be compared.
    """
    names_of: dict[str, list[str]] = defaultdict(list)
    for metric in wanted:
        if metric not in compared:
            names_of[_reason(metric, a, b)].append(metric)
    parts = [f"{', '.join(names)} ({why})" for why, names in names_of.items()]
    return f"Not compared: {'; '.join(parts)}." if parts else ""


def _reason(metric: str, a: Side, b: Side) -> str:
    lacks = [(side.name, why) for side in (a, b) if (why := _lack(metric, side))]
    if not lacks:
        return "measured on both sides, but not in the same case, or with a value of 0"
    reasons = {why for _, why in lacks}
    if len(lacks) > 1 and len(reasons) == 1:
        return f"on both sides: {reasons.pop()}"
    return ", ".join(f"{name}: {why}" for name, why in lacks)


def _lack(metric: str, side: Side) -> str:
    """Return why a side has no number of a metric; empty if it has one."""
    if (side.numbers["metric"] == metric).any():
        return ""
    reasons = side.unusable.loc[side.unusable["metric"] == metric, "why"]
    # Each trial has its own figures: the most frequent reason stands for all.
    return str(reasons.mode().iloc[0]) if len(reasons) else UNMEASURED
