"""Marks numbers that are beyond what is possible, such as an overhead below zero.

A measured task is compared with its calibrated work. If the CPU was faster than at its calibration,
an overhead may be below zero, and a rate above what the workers can do. If its interval contains
the limit, the number is not distinguishable from the limit; otherwise it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Costs of a task, in seconds: none can be below zero.
LEAST: Mapping[str, float] = {
    "overhead_s_per_task": 0.0,
    "marginal_s_per_task": 0.0,
    "metg_50_s": 0.0,
    "fixed_s": 0.0,
}
CAUSE = "which is impossible: the CPU ran faster than at the calibration of the task's work"


@dataclass(frozen=True, slots=True)
class ExceededLimit:
    """The limit that a number is beyond.

    Attributes:
        value: The smallest or the largest possible value, in the unit of the number.
        is_refused: The interval does not contain it, or there is no interval.
        side: ``"below"`` or ``"above"``, where a number is impossible.
    """

    value: float
    is_refused: bool
    side: str

    @property
    def reason(self) -> str:
        """Return why the number is refused."""
        return f"it is {self.side} {self.value:g}, {CAUSE}"


def most_per_s(workers: int, work_ns: int) -> float | None:
    """Return the largest possible rate of tasks, 1/s; None if their work is not calibrated.

    No worker slot can do more than one task in the time of the calibrated work.
    """
    return workers * 1e9 / work_ns if work_ns else None


def limit_of(
    value: float,
    low: float | None,
    high: float | None,
    *,
    least: float | None = None,
    most: float | None = None,
) -> ExceededLimit | None:
    """Return the limit that a number is beyond; None if the number is possible.

    Args:
        value: The number.
        low: The lower end of its interval; None: it has none.
        high: The upper end.
        least: The smallest possible value; None: there is none.
        most: The largest possible value; None: there is none.
    """
    # The number decides, not its interval: one that only reaches below zero is shown as it is.
    if least is not None and value < least:
        return ExceededLimit(least, (value if high is None else high) < least, "below")
    if most is not None and value > most:
        return ExceededLimit(most, (value if low is None else low) > most, "above")
    return None
