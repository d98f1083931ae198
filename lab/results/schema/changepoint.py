"""Declares the table of change points in the history over commits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lab.core.column import column


@dataclass(frozen=True, slots=True)
class ChangepointRow:
    """A change point in one metric's history over commits (METHOD M32)."""

    ABOUT: ClassVar[str] = "A change point in one metric's history over commits (METHOD M32)."
    KEY: ClassVar[tuple[str, ...]] = ("series_key", "commit")

    # Another machine or other packages start a new series, so both are in the key (METHOD M30).
    series_key: str = column(
        "asv's name of the benchmark, label, cores, nodes, provider, machine and fingerprint_id, "
        "separated by spaces"
    )
    commit: str = column("first commit of the new level")
    commit_before: str = column("last measured commit of the old level")
    detector: str = column("e-divisive, asv, or e-divisive and asv")
    status: str = column(
        "alarm if both detectors detect it in a series of 30 commits or more, else watch"
    )
    # A cost, because asv treats every number as "lower is better" (METHOD M31).
    magnitude: float = column("new level / old level - 1; above 0: the cost increased", "1")
    p: float = column("p-value of the t test between the two levels, on logarithms", "1")
    before: float = column("old level, geometric mean over commits")
    after: float = column("new level, geometric mean over commits")
    unit: str = column("unit of the levels")
    n_commits: int = column("commits in the series")
