"""Defines the tables with one row for each metric of a trial, and for each claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lab.core.column import column


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One number of one trial."""

    ABOUT: ClassVar[str] = "One number of one trial."
    KEY: ClassVar[tuple[str, ...]] = ("trial_id", "attempt", "metric")

    trial_id: str = column("identifier of the trial")
    attempt: int = column("number of the attempt at the trial", least=1)
    metric: str = column("name of the metric")
    # A refused value is a row with its reason in `method`, and not a missing row (METHOD M11).
    value: float | None = column("value of the metric; empty: refused")
    bound: str = column("> for a lower bound, < for an upper bound, else empty")
    unit: str = column("unit of the value")
    n: int = column(
        "tasks that the value was computed from; readings, for metrics of `sample`",
        "tasks",
        least=0,
    )
    method: str = column("how the value was computed, or why it was refused")
    is_valid: int = column(
        "0 if the trial is invalid or the value was refused, else 1", least=0, most=1
    )


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One published claim about a backend, and the result of its test."""

    ABOUT: ClassVar[str] = "One published claim about a backend, and the result of its test."
    KEY: ClassVar[tuple[str, ...]] = ("backend", "claim")

    backend: str = column("name of the backend")
    claim: str = column("name of the claim; `lab claims --help` explains each")
    statement: str = column("text of the published claim")
    claimed: str = column("published mark: yes, no or with config")
    measured: str = column("measured mark, of the same three; empty: not measured")
    verdict: str = column("holds, holds with: CONDITION, does not hold, or not measured: REASON")
    evidence: str = column("measured numbers that support the verdict")
    trials: str = column("trial_id of each trial that supports it, separated by spaces")
