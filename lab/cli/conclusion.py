"""Words the last lines of a campaign, and decides its exit code: both are those of the whole run.

A run that was continued has trials of earlier commands, and its result is that of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lab.campaign import runner
from lab.core.errors import ExitCode
from lab.core.model import COUNTED_FLAGS, Flag, Status
from lab.planning.commands import with_function
from lab.report.flag_reasons import OVERLOADED, is_overloaded
from lab.report.number_format import plural
from lab.report.numbers import speed_words
from lab.results.schema import TrialRow
from lab.results.store import Store


def trials_of(store: Store) -> list[TrialRow]:
    """Return the rows of all attempts of a run, the oldest first."""
    # A table's null is pd.NA, which is neither true nor false; a row's null is None.
    table: list[list[Any]] = [
        [None if value is pd.NA else value for value in row]
        for row in store.read("trial").itertuples(index=False, name=None)
    ]
    return [TrialRow(*row) for row in table]


def exit_code(rows: Sequence[TrialRow], *, is_allowed: bool) -> ExitCode:
    """Return the exit code of a run; `is_allowed` accepts that most trials were disturbed."""
    code = runner.exit_code(rows)
    # A failed trial is worse than a disturbed one, so its exit code has priority.
    is_disturbed = bool(few_count(rows)) and not is_allowed
    return ExitCode.MACHINE_FAILED if is_disturbed and code == ExitCode.FINE else code


def counts(rows: Sequence[TrialRow]) -> str:
    """Count the trials by flag, and those that failed."""
    flags = [row.flag for row in rows if row.status == Status.OK]
    overloaded = sum(map(is_overloaded, rows))
    notes = {Flag.DISTURBED: f" ({overloaded} overloaded: {OVERLOADED})" * bool(overloaded)}
    texts = [f"{flags.count(flag)} {flag}{notes.get(flag, '')}" for flag in Flag if flag in flags]
    if failed := sum(map(_is_failed, rows)):
        texts.append(f"{failed} failed or timed out")
    ran = [row for row in rows if row.status != Status.SKIPPED]
    trials = plural(len(last_of_each(ran)), "trial")
    repeated = f"{len(ran):,} attempts at " if len(ran) > len(last_of_each(ran)) else ""
    return f"{repeated}{trials}: {', '.join(texts) or 'all were skipped'}."


def spread(rows: Sequence[TrialRow]) -> str:
    """Return how much the CPU's own speed varied, as the page says it; empty without two trials."""
    return speed_words(row.calibration_ns for row in rows if row.status == Status.OK)


def few_count(rows: Sequence[TrialRow]) -> str:
    """Return a sentence if fewer than half of the trials count because of the machine."""
    ran = [row for row in last_of_each(rows) if row.status != Status.SKIPPED]
    flags = [row.flag for row in ran if row.status == Status.OK]
    counted, disturbed = sum(flag in COUNTED_FLAGS for flag in flags), flags.count(Flag.DISTURBED)
    # Invalid records are no fault of the machine: advice about its load would not help.
    if not disturbed or counted >= len(flags) / 2:
        return ""
    count = f"Only {counted} of" if counted else "None of"
    verb = "count" if counted > 1 else "counts"
    return (
        f"{count} {plural(len(ran), 'trial')} {verb}: {_causes(ran)}. "
        "Such numbers are shown in brackets and never ranked."
    )


def _causes(rows: Sequence[TrialRow]) -> str:
    """Count the trials by what disturbed them, the machine or the offered rate, and the failed."""
    overloaded = sum(map(is_overloaded, rows))
    busy = sum(map(_is_disturbed, rows)) - overloaded
    parts = (
        [f"{busy} {_were(busy)} disturbed by other processes or a late generator"] if busy else []
    )
    if overloaded:
        parts.append(f"{overloaded} {_were(overloaded)} overloaded: {OVERLOADED}")
    if failed := sum(map(_is_failed, rows)):
        parts.append(f"{failed} failed or timed out")
    return ", and ".join(parts)


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _is_disturbed(row: TrialRow) -> bool:
    return row.status == Status.OK and row.flag == Flag.DISTURBED


def _is_failed(row: TrialRow) -> bool:
    return row.status in (Status.FAILED, Status.TIMEOUT)


def next_steps(run: str, rows: Sequence[TrialRow], *, is_allowed: bool) -> str:
    """Return what to do about a run of which few trials count.

    Args:
        run: The name of the run.
        rows: The rows of its trials; the command names the user's function.
        is_allowed: Whether the user accepted disturbed trials, so that no exit code is named.
    """
    if all(is_overloaded(row) for row in last_of_each(rows) if _is_disturbed(row)):
        again = "Next: measure at a lower rate, with --rate."
    else:
        command = with_function(f"lab bench --like {run}", [row.workload for row in rows])
        again = (
            "Next: stop the programs that use the CPUs (lab doctor lists them), or use a quieter "
            f"machine, and repeat the plan: {command}"
        )
    if is_allowed:
        return again
    code, accepted = (exit_code(rows, is_allowed=allowed) for allowed in (False, True))
    why = (
        ", because a trial failed or timed out"
        if code == accepted
        else f"; --allow-disturbed accepts such a run, with exit code {accepted}"
    )
    return f"{again}\nThe run is complete, and its exit code is {code}{why}."


def last_of_each(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Return the last attempt at each trial."""
    # Rows are in order of time: a trial counts if its repetition was not disturbed.
    return list({row.trial_id: row for row in rows}.values())
