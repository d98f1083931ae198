"""Defines the reading of one counter at one instant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One reading of one counter: a `SampleRow` without its trial. `t_ns` is CLOCK_MONOTONIC."""

    t_ns: int
    source: str
    metric: str
    value: float
    unit: str
