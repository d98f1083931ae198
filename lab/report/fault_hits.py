"""Lists the hits of the faults: what each did, and the tasks that it lost, repeated or delayed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lab.core.model import Periodic
from lab.core.outcomes import HARM, TaskOutcome
from lab.figures import Tables
from lab.report.fault_results import RESULTS
from lab.report.number_format import seconds

HIT = "hit"
# Outcome of a task -> the word before its ids; the worst first.
SHOWN = {result.outcome: result.listed or result.word for result in RESULTS}
SHOWN_IDS = 12


@dataclass(frozen=True, slots=True)
class HitSummary:
    """One planned hit of a fault.

    Attributes:
        trial_id: Its trial.
        number: Its number in the trial, from 0.
        at: Instant since the start of the window, as text; empty if it did not happen.
        until: What happened afterwards, and when: healed, restarted.
        target: Role, part and process id.
        activity: What the target did, with the ids of the tasks that it executed.
        proof: The observation from outside, or the reason why the hit missed.
        tasks: Description of an outcome -> ids of the tasks with this outcome, as text; of a job:
            how many of the runs of its trial were missed or doubled.
        taken_over: Which process executed the interrupted tasks again, and when.
        survived: No task was lost, stuck or run twice, and no run of a job missed or doubled; None
            if the hit missed, or a task or the number of runs is unknown.
    """

    trial_id: str
    number: int
    at: str
    until: str
    target: str
    activity: str
    proof: str
    tasks: Mapping[str, str]
    taken_over: str
    survived: bool | None


def outcomes_of(tables: Tables, trial: Any) -> pd.DataFrame:
    """Return the tasks of a trial with an outcome of `SHOWN`: task_id, outcome, hit."""
    # Without such a task, the table with one row for each task need not be read.
    # A job is one task that runs many times, so its outcome is none of a hit.
    is_job = trial.arrival == Periodic.kind
    if is_job or not any(getattr(trial, result.count) for result in RESULTS):
        return pd.DataFrame(columns=["task_id", "outcome", "hit", "redelivery_ns", "taken_over_by"])
    rows = tables[f"outcome/{trial.trial_id}-{trial.attempt}"]
    return rows[rows["outcome"].isin(list(SHOWN))]


def hits_of(trial: Any, hits: Iterable[Any], outcomes: pd.DataFrame) -> list[HitSummary]:
    """Return the hits of one trial in their order.

    A task that no hit interrupted (`hit` is null) counts against every hit of its trial.

    Args:
        trial: A row of `trial`.
        hits: Its rows of `fault`.
        outcomes: Its rows of `outcome`; see `outcomes_of`.
    """
    loose = set(outcomes.loc[outcomes["hit"].isna(), "outcome"])
    return [_hit(trial, row, outcomes[outcomes["hit"] == row.hit], loose) for row in hits]


def _hit(trial: Any, row: Any, outcomes: pd.DataFrame, loose: Collection[str]) -> HitSummary:
    tasks = {outcome: list[str]() for outcome in SHOWN}
    for task_id, outcome in zip(outcomes["task_id"], outcomes["outcome"], strict=True):
        tasks[outcome].append(str(task_id))
    harmed = any(tasks[outcome] or outcome in loose for outcome in HARM)
    survived = None if tasks[TaskOutcome.UNDECIDED] or TaskOutcome.UNDECIDED in loose else True
    is_hit = row.status == HIT
    return HitSummary(
        trial_id=trial.trial_id,
        number=row.hit,
        at=_since(trial, row.injected_ns),
        until=_ends(row),
        target=f"{row.role}: {row.target}" if row.target else row.role,
        activity=_activity(row),
        proof=row.proof if is_hit else row.reason,
        tasks={SHOWN[outcome]: listed(ids_) for outcome, ids_ in tasks.items() if ids_},
        taken_over=_takeover(outcomes),
        # Harm before doubt: a hit with a lost task is not survived, whatever is unknown.
        survived=None if not is_hit else False if harmed else survived,
    )


def _since(trial: Any, instant_ns: Any) -> str:
    if pd.isna(instant_ns) or pd.isna(trial.t_begin_ns):
        return ""
    # The monotonic clock counts from the boot of the machine, which means nothing to a reader.
    return f"{(instant_ns - trial.t_begin_ns) / 1e9:.2f} s"


def _ends(row: Any) -> str:
    if pd.isna(row.injected_ns):
        return ""
    events = {"healed": row.healed_ns, "restarted": row.restarted_ns}
    return ", ".join(
        f"{name} after {seconds((instant_ns - row.injected_ns) / 1e9)}"
        for name, instant_ns in events.items()
        if not pd.isna(instant_ns)
    )


def _activity(row: Any) -> str:
    tasks = row.task_ids.split()
    noun = "task" if len(tasks) == 1 else "tasks"
    return f"{row.activity} {noun} {listed(tasks)}" if tasks else str(row.activity)


def _takeover(outcomes: pd.DataFrame) -> str:
    again = outcomes[outcomes["redelivery_ns"].notna()]
    if again.empty:
        return ""
    delays = again["redelivery_ns"].astype("float64") / 1e9
    places = listed(sorted(set(again["taken_over_by"])), "; ")
    return f"again after {seconds(delays.min())} to {seconds(delays.max())} by {places}"


def listed(ids: Sequence[str], separator: str = " ") -> str:
    """List ids; of many, the first and how many more."""
    more = len(ids) - SHOWN_IDS
    return separator.join([*ids[:SHOWN_IDS], *([f"and {more:,} more"] if more > 0 else [])])


def survival(hits: Iterable[HitSummary]) -> tuple[int, int]:
    """Return how many hits were survived, and how many were decided."""
    decided = [hit.survived for hit in hits if hit.survived is not None]
    return sum(decided), len(decided)


def survived_text(hits: Sequence[HitSummary]) -> str:
    """Format `survival`: 4 of 5 survived; empty if nothing was decided."""
    k, n = survival(hits)
    return f"{k:,} of {n:,} survived" if n else ""
