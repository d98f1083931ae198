"""Prints what became of the claims: the seed's table beside ours, then what is not as it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lab.claims.claim import Says
from lab.claims.seed import COLUMNS, SEED
from lab.claims.verdicts import Verdict
from lab.tables import ClaimRow

TABLE = "The seed's table: its mark | ours"
TABLE_COLUMNS = ("Package", "Type", "Concurrent", "Parallel", "Scheduling", "Notes")
REST = "What does not hold, holds with a condition, or could not be told"
REST_COLUMNS = ("system", "claim", "the seed says", "verdict", "why", "trials")
MARKS = {Says.YES: "✓", Says.NO: "✖", Says.CONFIG: "✓ (with config)", "": "?"}
SHOWN_TRIALS = 2


def table(rows: Sequence[ClaimRow]) -> list[tuple[str, ...]]:
    """Return the seed's table with ours in its cells, for the systems that were asked."""
    cells = {(row.backend, row.claim): f"{MARKS[row.seed]} | {MARKS[row.here]}" for row in rows}
    asked = dict.fromkeys(row.backend for row in rows)
    return [
        (
            SEED[name].package,
            SEED[name].kind,
            *(cells.get((name, column), "") for column in COLUMNS),
            SEED[name].notes,
        )
        for name in asked
    ]


def rest(rows: Sequence[ClaimRow]) -> list[tuple[str, ...]]:
    """Return the claims that do not simply hold, each with its evidence."""
    return [
        (
            SEED[row.backend].package,
            row.claim,
            row.words,
            row.verdict,
            "" if row.why in row.verdict else row.why,
            _trials(row.trials.split()),
        )
        for row in rows
        if row.verdict != Verdict.HOLDS
    ]


def summary(rows: Sequence[ClaimRow]) -> str:
    """Count the verdicts in one sentence."""
    kinds = Counter(Verdict(row.verdict.partition(":")[0]) for row in rows)
    holding = kinds[Verdict.HOLDS] + kinds[Verdict.HOLDS_WITHOUT]
    return (
        f"{len(rows)} claims: {holding} hold, {kinds[Verdict.HOLDS_WITH]} hold with a condition, "
        f"{kinds[Verdict.FAILS]} do not hold, {kinds[Verdict.UNMEASURED]} were not measured."
    )


def unjudged(rows: Sequence[ClaimRow]) -> list[str]:
    """List the sentences of the seed that no trial can judge, each with its reason."""
    systems = [SEED[name] for name in dict.fromkeys(row.backend for row in rows)]
    return [
        f"Not judged by any trial: {system.package}: {words!r} ({why})"
        for system in systems
        for words, why in system.unjudged.items()
    ]


def _trials(ids: Sequence[str]) -> str:
    more = len(ids) - SHOWN_TRIALS
    return " ".join([*ids[:SHOWN_TRIALS], *([f"and {more} more"] if more > 0 else [])])
