"""Formats the verdicts: the published table with the measured marks, then the exceptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lab.claims.claim import Mark
from lab.claims.published_claims import COLUMNS, PUBLISHED
from lab.claims.result import Verdict
from lab.results.schema.metric import ClaimRow

TABLE = "Published mark | measured mark"
TABLE_COLUMNS = ("Package", "Type", "Concurrent", "Parallel", "Scheduling", "Notes")
REST = "Claims that do not hold, hold with a condition, or were not measured"
REST_COLUMNS = ("backend", "claim", "statement", "verdict", "evidence", "trials")
MARKS = {Mark.YES: "✓", Mark.NO: "✖", Mark.CONFIG: "✓ (with config)", "": "?"}
SHOWN_TRIALS = 2


def table(rows: Sequence[ClaimRow]) -> list[tuple[str, ...]]:
    """Return the published table of the tested backends, with both marks in each cell."""
    cells = {
        (row.backend, row.claim): f"{MARKS[row.claimed]} | {MARKS[row.measured]}" for row in rows
    }
    backends = dict.fromkeys(row.backend for row in rows)
    return [
        (
            PUBLISHED[name].package,
            PUBLISHED[name].kind,
            *(cells.get((name, column), "") for column in COLUMNS),
            PUBLISHED[name].notes,
        )
        for name in backends
    ]


def rest(rows: Sequence[ClaimRow]) -> list[tuple[str, ...]]:
    """Return the claims whose verdict is not plainly `holds`, each with its evidence."""
    return [
        (
            PUBLISHED[row.backend].package,
            row.claim,
            row.statement,
            row.verdict,
            # An unmeasured claim has its reason in the verdict already.
            "" if row.evidence in row.verdict else row.evidence,
            _trials(row.trials.split()),
        )
        for row in rows
        if row.verdict != Verdict.HOLDS
    ]


def summary(rows: Sequence[ClaimRow]) -> str:
    """Count the verdicts in one sentence."""
    # A verdict may have its condition after a colon; only the part before it is a `Verdict`.
    kinds = Counter(Verdict(row.verdict.partition(":")[0]) for row in rows)
    holding = kinds[Verdict.HOLDS] + kinds[Verdict.HOLDS_WITHOUT]
    return (
        f"{len(rows)} claims: {holding} hold, {kinds[Verdict.HOLDS_WITH]} hold with a condition, "
        f"{kinds[Verdict.FAILS]} do not hold, {kinds[Verdict.UNMEASURED]} were not measured."
    )


def unjudged(rows: Sequence[ClaimRow]) -> list[str]:
    """List the published sentences that no trial can test, each with its reason."""
    systems = [PUBLISHED[name] for name in dict.fromkeys(row.backend for row in rows)]
    return [
        f"No trial can test this: {system.package}: {words!r} ({why})"
        for system in systems
        for words, why in system.unjudged.items()
    ]


def _trials(ids: Sequence[str]) -> str:
    more = len(ids) - SHOWN_TRIALS
    return " ".join([*ids[:SHOWN_TRIALS], *([f"and {more} more"] if more > 0 else [])])
