"""Determines what became of the tasks of one system after one fault: a square of the matrix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lab.analysis.attempts import decisive_attempts
from lab.analysis.labels import each
from lab.analysis.statistics import proportion
from lab.core.faults import FaultKind
from lab.core.model import Periodic, Status
from lab.core.outcomes import TaskOutcome
from lab.figures import Tables
from lab.report import fault_counts
from lab.report.documented import documented_safe
from lab.report.fault_hits import HitSummary, hits_of, outcomes_of, survived_text
from lab.report.fault_results import (
    FAILED,
    MISSED,
    OK,
    RECOVERED,
    REFUSED,
    SKIPPED,
    UNKNOWN,
    UNMEASURED,
    FaultResult,
)
from lab.report.number_format import percent, plural, seconds

# The outcomes of a task that a profile with `safe_against` is documented to prevent.
LOSSES = (TaskOutcome.LOST_SILENT, TaskOutcome.STUCK, TaskOutcome.LOST_REPORTED)
DELAY, SERVICE = "redelivery_delay_s_max", "time_to_recover_s"


@dataclass(frozen=True, slots=True)
class Square:
    """One system under one fault.

    Attributes:
        fault: The fault, as in the column `fault`.
        anchor: Id of its hits on the page.
        result: The worst result of its trials.
        text: Its word, with the delay of a recovery.
        count: k of n tasks with this result, or runs of a job.
        noun: What `count` counts: tasks or runs.
        n_tasks: How many tasks were offered; runs of a job are none.
        bound: Bounds of the share k / n, with 95 % confidence.
        sample: How many tasks, runs, hits and trials it has.
        notes: Further results.
        runs: Its runs of jobs that were due, missed and doubled.
        survived: How many of its hits were survived, or empty.
        service: When the service had recovered, or empty.
        reason: Why there is no result, or empty.
        hits: Its hits, trial by trial.
        trials: Ids of its trials.
    """

    fault: str
    anchor: str
    result: FaultResult
    text: str
    count: str = ""
    noun: str = "tasks"
    n_tasks: int = 0
    bound: str = ""
    sample: str = ""
    notes: Sequence[str] = ()
    runs: tuple[int, ...] = (0, 0, 0)
    survived: str = ""
    service: str = ""
    reason: str = ""
    hits: Sequence[HitSummary] = ()
    trials: Sequence[str] = ()

    @property
    def counted(self) -> str:
        """The count with its noun: 68 of 78 runs."""
        return f"{self.count} {self.noun}"

    @property
    def details(self) -> str:
        """The count, its bounds and its sample, or the reason why there is none."""
        numbers = f"{self.counted}, {self.bound}; {self.sample}" if self.count else ""
        return "; ".join(filter(None, [numbers, self.reason.rstrip(".")]))

    @property
    def is_unharmed(self) -> bool:
        """Return whether it is known that no task and no run was harmed."""
        is_decided = self.result is not UNKNOWN and bool(self.count)
        return is_decided and not self.result.is_harm and not any(self.runs[1:])


def square_of(row: Any, fault: str, trials: pd.DataFrame, tables: Tables) -> Square:
    """Return the square of a system under a fault, from its trials with this fault.

    Args:
        row: The system: label and provider.
        fault: The fault, as in the column `fault`.
        trials: The attempts at its trials with this fault, of the provider.
        tables: As those of `lab.report.faults.matrix`.
    """
    # Labels have brackets and `@`, which a link to an id would have to escape.
    anchor = re.sub(r"\W+", "-", f"hits-{row.label}-{row.provider}-{fault}")
    sent = decisive_attempts(trials)
    if sent.empty:
        return _without_result(fault, anchor, trials)
    hits = [hit for trial in each(sent) for hit in _hits(trial, tables)]
    offered = sent[sent["arrival"] != Periodic.kind]
    n = n_tasks = int(offered["n_sent"].sum())
    counts = fault_counts.counts(offered)
    refused = fault_counts.refused(offered, tables)
    k, result = next(((k, result) for result, k in counts if k), (refused, REFUSED))
    k, result = (k, result) if k else (0, OK)
    due, of_runs = fault_counts.runs(sent, tables)
    noun, sizes = "tasks", [plural(n, "task")] if n else []
    if due:
        sizes.append(plural(due, "run"))
    if due and (not n or not result.is_harm):
        k_runs, of_jobs = next(((k, result) for result, k in of_runs if k), (0, OK))
        if k_runs or not n:
            n, k, result, noun = due, k_runs, of_jobs, "runs"
    if not n:  # a trial that failed before the runs of its jobs were counted
        return _without_result(fault, anchor, trials)
    # A fault that hit nothing proves nothing: `ok` would state that the system survived it.
    if fault != FaultKind.NONE and not int(sent["n_hits"].sum()) and result is OK:
        result = MISSED
    # A task that was executed again finished once, so it is not part of the share of harm.
    harmed = 0 if result in {RECOVERED, OK, MISSED} else k
    # The classes are summed over attempts, and a share above 1 has no interval.
    share = proportion(min(harmed, n), n)
    low, high = (percent(end or 0.0) for end in (share.low, share.high))
    delay = _longest(DELAY, sent, tables) if result is RECOVERED else ""
    service = _longest(SERVICE, sent, tables)
    stopped = "stopped consuming" if (sent["stopped_consuming"] == 1).any() else ""
    kind = fault.partition(":")[0]
    is_promised = result.outcome in LOSSES and kind in documented_safe(row.label)
    broken = "documented to be safe" if is_promised else ""
    return Square(
        fault=fault,
        anchor=anchor,
        result=result,
        text=f"{result.word} after {delay}" if delay else result.word,
        count=f"{harmed:,} of {n:,}",
        noun=noun,
        n_tasks=n_tasks,
        bound=f"{low} to {high}" if harmed else f"at most {high}",
        sample=f"n = {', '.join([*sizes, *_hits_and_trials(fault, sent)])}",
        notes=[
            *_others(counts, result),
            *([f"{refused:,} refused"] if refused and result is not REFUSED else []),
            *(
                f"{k:,} of {due:,} {other.word}"
                for other, k in of_runs
                if k and other is not result
            ),
            *filter(None, [stopped, broken]),
        ],
        runs=(due, *(k for _, k in of_runs)) if due else (0, 0, 0),
        survived="" if fault == FaultKind.NONE else survived_text(hits),
        service=f"The service had recovered after {service}." if service else "",
        reason=_reason(result, hits),
        hits=hits,
        trials=list(dict.fromkeys(sent["trial_id"])),
    )


def _others(counts: Sequence[tuple[FaultResult, int]], shown: FaultResult) -> list[str]:
    return [
        f"{k:,} {result.word if result is not RECOVERED else 'executed again'}"
        for result, k in counts
        # The count of a square is of harmed tasks, so a recovery has its own number as a note.
        if k and (result is not shown or result is RECOVERED)
    ]


def _hits(trial: Any, tables: Tables) -> list[HitSummary]:
    rows = tables["fault"]
    of_trial = rows[(rows["trial_id"] == trial.trial_id) & (rows["attempt"] == trial.attempt)]
    hits = hits_of(trial, each(of_trial.sort_values("hit")), outcomes_of(tables, trial))
    if trial.arrival != Periodic.kind:
        return hits
    attempt = tables["trial"][["trial_id", "attempt", "arrival"]]
    is_trial = (attempt["trial_id"] == trial.trial_id) & (attempt["attempt"] == trial.attempt)
    due, of_runs = fault_counts.runs(attempt[is_trial], tables)
    harm = {result.word: f"{k:,} of {due:,} in the trial" for result, k in of_runs if k}
    # Which hit a run was missed by is not recorded, so it counts against every hit of its trial.
    return [
        replace(hit, tasks=harm, survived=not harm if due and hit.survived else None)
        for hit in hits
    ]


def _hits_and_trials(fault: str, sent: pd.DataFrame) -> list[str]:
    trials = plural(sent["trial_id"].nunique(), "trial")
    hits = plural(int(sent["n_hits"].sum()), "hit")
    # The control has instants as the others have hits, but nothing is done at them.
    return [trials] if fault == FaultKind.NONE else [hits, trials]


def _without_result(fault: str, anchor: str, trials: pd.DataFrame) -> Square:
    if trials.empty:
        return Square(fault, anchor, UNMEASURED, UNMEASURED.word)
    is_skipped = (trials["status"] == Status.SKIPPED).all()
    # If any attempt ran, its reason explains more than that of a skip, which was planned.
    ran = trials[trials["status"] != Status.SKIPPED]
    reason = str((trials if is_skipped else ran)["reason"].iloc[0])
    result = SKIPPED if is_skipped else FAILED
    ids = [] if is_skipped else list(dict.fromkeys(ran["trial_id"]))
    return Square(fault, anchor, result, result.word, reason=reason, trials=ids)


def _longest(metric: str, sent: pd.DataFrame, tables: Tables) -> str:
    """Return the largest value of a metric of seconds over trials; empty if there is none."""
    # The metrics of interrupted attempts must not enter: their tasks are not counted either.
    metrics = tables["metric"][tables["metric"]["metric"] == metric]
    values = metrics.merge(sent[["trial_id", "attempt"]])["value"].dropna()
    # Zero is no delay: the service did not stop.
    return seconds(float(values.max())) if (values > 0).any() else ""


def _reason(result: FaultResult, hits: Sequence[HitSummary]) -> str:
    return next((hit.proof for hit in hits), "") if result is MISSED else ""
