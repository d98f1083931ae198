"""What is told of a number's history over commits."""

from __future__ import annotations

from dataclasses import dataclass

from lab.results.schema.column import column


@dataclass(frozen=True, slots=True)
class ChangepointRow:
    """A step in one number's history over commits (METHOD M32). Key: series_key, commit."""

    series_key: str = column(
        "asv's name of the number, label, cores, nodes, provider, machine and fingerprint_id, "
        "separated by spaces"
    )
    commit: str = column("first commit of the new level")
    commit_before: str = column("last commit of the old level that was measured")
    detector: str = column("e-divisive, asv, or e-divisive and asv")
    status: str = column("alarm when both see it in a curve of 30 commits or more, else watch")
    magnitude: float = column("new level / old level - 1; above 0: it costs more", "1")
    p: float = column("of the t test between the two levels, on logarithms", "1")
    before: float = column("old level: geometric mean over commits")
    after: float = column("new level: the same")
    unit: str = column("unit of the levels")
    n_commits: int = column("commits in the series")
