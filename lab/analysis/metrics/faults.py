"""Computes the effect of a fault on tasks and on the service (METHOD M27 to M29)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lab.analysis.metrics.metric import OPEN, Metric, MetricFunction
from lab.analysis.statistics import RefusedError, Seconds, Value
from lab.core.outcomes import HARM, TaskOutcome
from lab.results.schema import TrialRow

# Service has recovered at the first of so many seconds with this share of the expected finishes.
SECONDS_IN_A_ROW, RECOVERED = 5, 0.95
# A finish on the other side of a second's boundary is no loss of service.
ACROSS = 1
RATE_FLOOR_HZ = 10.0  # with fewer tasks a second, `ACROSS` would hide a loss of 10 %
BEFORE_S = 2.0  # the shortest time before the first hit that shows whether the system kept up
# As long as a task is unknown, it may still turn out to have one of these.
POSSIBLE = (TaskOutcome.LOST_SILENT, TaskOutcome.STUCK)


def metrics() -> Iterator[Metric]:
    """Yield the metrics of trials with a fault."""
    for outcome, about in (
        (TaskOutcome.LOST_SILENT, "lost silently"),
        (TaskOutcome.LOST_REPORTED, "lost, and reported as failed"),
        (TaskOutcome.STUCK, "not finished, and reported as running"),
        (TaskOutcome.DUPLICATED, "finished more than once"),
        (TaskOutcome.RE_EXECUTED, "started more than once and finished once"),
        (TaskOutcome.UNDECIDED, "missing when the drain ended before the redelivery horizon"),
    ):
        name = "lost_silent" if outcome is TaskOutcome.LOST_SILENT else outcome.replace("-", "_")
        about_share = f"Share of the offered tasks that were {about}."
        yield _share(f"{name}_ratio", "lower", about_share, share_of(outcome))
    delay = "of: hit to next start of a task that it interrupted."
    outage = "Hit to the first of 5 seconds in a row with 95 % of the expected finishes."
    missing = "Finishes that were missing between a hit and the recovery."
    for name, unit, about, measure, table in (
        ("redelivery_delay_s_p50", "s", f"p50 {delay}", redelivery_delay("p50"), "outcome"),
        ("redelivery_delay_s_max", "s", f"max {delay}", redelivery_delay("max"), "outcome"),
        ("time_to_recover_s", "s", outage, time_to_recover, "service"),
        ("lost_service_tasks", "tasks", missing, lost_service, "service"),
    ):
        yield Metric(name, unit, "lower", about, measure, OPEN, _has_fault, table)
    about = "Share of the hits after which no task was lost, stuck, failed or finished twice."
    yield _share("faults_survived_ratio", "higher", about, survived)


def _share(name: str, better: str, about: str, measure: MetricFunction) -> Metric:
    return Metric(name, "1", better, about, measure, OPEN, _has_fault, "outcome", is_share=True)


def _has_fault(trial: TrialRow) -> bool:
    return trial.fault != ""


def share_of(outcome: TaskOutcome) -> MetricFunction:
    """Return the measure: the share of the offered tasks with an outcome.

    It is a lower bound if a task is unknown that may still turn out to have the outcome.
    """

    def measure(trial: TrialRow, outcomes: pd.DataFrame) -> Value:
        n, k = int(trial.n_sent), int((outcomes["outcome"] == outcome).sum())
        if not n:
            raise RefusedError("No task was offered.")
        unknown = int((outcomes["outcome"] == TaskOutcome.UNDECIDED).sum())
        # A second finish or a reported failure would be on record, so other shares are exact.
        if unknown and outcome in POSSIBLE:
            return Value(k / n, ">", n, f"{k} of {n}; {unknown} more are unknown")
        return Value(k / n, "", n, f"{k} of {n}")

    return measure


def redelivery_delay(which: str) -> MetricFunction:
    """Return the measure: ``"p50"`` or ``"max"`` of the seconds from a hit to the next start.

    Over the tasks that a hit interrupted and that started again; tasks that are unknown make it a
    lower bound.
    """

    def measure(_trial: TrialRow, outcomes: pd.DataFrame) -> Value:
        delays = outcomes["redelivery_ns"].dropna().to_numpy("float64") / 1e9
        if not delays.size:
            raise RefusedError("No task that a hit interrupted started again.")
        is_open = (outcomes["outcome"] == TaskOutcome.UNDECIDED) & outcomes["redelivery_ns"].isna()
        # Only tasks of a hit: a task that was not interrupted is not delivered again.
        bound = ">" if (is_open & outcomes["hit"].notna()).any() else ""
        value = float(np.median(delays) if which == "p50" else delays.max())
        return Value(value, bound, delays.size, f"{which} of {delays.size} redeliveries")

    return measure


def survived(trial: TrialRow, outcomes: pd.DataFrame) -> Value:
    """Return the share of the hits to which no harmed task belongs.

    A hit with an unknown task and no harmed one is not counted.
    """
    harmed = set(outcomes.loc[outcomes["outcome"].isin(HARM), "hit"].dropna())
    unknown = set(outcomes.loc[outcomes["outcome"] == TaskOutcome.UNDECIDED, "hit"].dropna())
    # Harm that is certain decides a hit, whatever becomes of its other tasks.
    undecided = len(unknown - harmed)
    n = int(trial.n_hits) - undecided
    if n <= 0:
        why = f"{trial.n_hits} hits, {undecided} of them with unknown tasks"
        raise RefusedError(f"No hit is decided: {why}.")
    k = n - len(harmed)
    left_out = f"; hits with unknown tasks, which are left out: {undecided}" if undecided else ""
    return Value(k / n, "", n, f"{k} of {n}{left_out}")


@dataclass(frozen=True, slots=True)
class Outage:
    """The time from a hit to the recovery, or to the end of the window.

    Attributes:
        seconds: Its duration.
        missing: Finishes that were missing in it.
        is_over: Whether service recovered in the window; otherwise the duration is a lower bound.
    """

    seconds: float
    missing: float
    is_over: bool


def service(tasks: pd.DataFrame, hits: pd.DataFrame) -> pd.DataFrame:
    """Join what the service should have finished, what it finished, and the hits.

    A task is expected to finish as long after its due instant as the median task before the first
    hit did. With the rate of the plan in place of the mean rate before (METHOD M27), the gaps of a
    Poisson plan are no loss of service.

    Args:
        tasks: One row per task with t0_ns and t4_ns.
        hits: `FaultRow` columns; hits that missed are left out.

    Returns:
        event (expected, finished or hit) and t_ns, sorted by t_ns.
    """
    hit_ns = hits["injected_ns"].dropna().astype("int64")
    done = tasks[tasks["t4_ns"].notna()]
    # Only before the first hit, because the fault itself delays the later tasks.
    before = done[done["t4_ns"] < hit_ns.min()] if len(hit_ns) else done
    usual_ns = int((before["t4_ns"] - before["t0_ns"]).median()) if len(before) else 0
    instants = {
        "expected": tasks["t0_ns"].dropna().astype("int64") + usual_ns,
        "finished": done["t4_ns"].astype("int64"),
        "hit": hit_ns,
    }
    rows = [pd.DataFrame({"event": event, "t_ns": at_ns}) for event, at_ns in instants.items()]
    return pd.concat(rows, ignore_index=True).sort_values("t_ns", kind="stable", ignore_index=True)


def outages(trial: TrialRow, events: pd.DataFrame) -> list[Outage]:
    """Return the outage after each hit; a hit within an outage belongs to it.

    A hit that has fewer than `SECONDS_IN_A_ROW` seconds of the window after it, all with the
    expected finishes, shows nothing and is left out.

    Args:
        trial: The trial's row; its offered rate is used.
        events: The result of `service`.

    Raises:
        RefusedError: There is no hit, too low a rate, or the system did not keep up before it.
    """
    # Not `<`, which is false for NaN: a trial without a rate must be refused.
    if not (trial.rate_hz or 0.0) >= RATE_FLOOR_HZ:
        raise RefusedError(f"It needs {RATE_FLOOR_HZ:g} tasks a second; there are {trial.rate_hz}.")
    of = {name: rows["t_ns"].to_numpy("int64") / 1e9 for name, rows in events.groupby("event")}
    expected, finished = (of.get(name, np.empty(0)) for name in ("expected", "finished"))
    hits = of.get("hit", np.empty(0))
    if not hits.size or not expected.size:
        raise RefusedError("The fault hit nothing.")
    due, done = (int((instants < hits[0]).sum()) for instants in (expected, finished))
    if hits[0] - expected[0] >= BEFORE_S and done < RECOVERED * due - ACROSS:
        raise RefusedError(f"Only {done} of {due} expected tasks finished before the first hit.")
    after_hits: list[Outage] = []
    until = -np.inf
    # A later hit cannot delay anything that was still expected.
    for hit in hits[hits < expected[-1]]:
        outage = _outage(expected, finished, hit) if hit >= until else None
        if outage is not None:
            after_hits.append(outage)
            # A system that never recovers has one outage, however many hits follow.
            until = hit + outage.seconds if outage.is_over else np.inf
    return after_hits


def _outage(expected: Seconds, finished: Seconds, hit: float) -> Outage | None:
    """Return the outage after a hit; None if the window is too short to show one."""
    # Up to the last expected finish: after it no finish is missing, and nothing can be seen.
    n = int(expected[-1] - hit)
    edges = hit + np.arange(n + 1)
    due, done = np.histogram(expected, edges)[0], np.histogram(finished, edges)[0]
    good = done >= RECOVERED * due - ACROSS
    starts = [i for i in range(n - SECONDS_IN_A_ROW + 1) if good[i : i + SECONDS_IN_A_ROW].all()]
    if not starts and good.all():
        return None
    length = starts[0] if starts else int(np.flatnonzero(~good)[-1]) + 1
    # Without the clip, tasks that catch up after an outage would cancel those that were missing.
    missing = float(np.clip(due - done, 0, None)[:length].sum())
    return Outage(float(length), missing, bool(starts))


def time_to_recover(trial: TrialRow, events: pd.DataFrame) -> Value:
    """Return the mean duration of the outages, seconds."""
    return _mean(outages(trial, events), "seconds")


def lost_service(trial: TrialRow, events: pd.DataFrame) -> Value:
    """Return the mean number of finishes that were missing in an outage."""
    return _mean(outages(trial, events), "missing")


def _mean(after_hits: list[Outage], attribute: str) -> Value:
    if not after_hits:
        raise RefusedError("The window ended too early after the hits to show a recovery.")
    mean = float(np.mean([getattr(outage, attribute) for outage in after_hits]))
    n_open = sum(not outage.is_over for outage in after_hits)
    method = f"mean of {len(after_hits)} outages" + (f", {n_open} not over" if n_open else "")
    return Value(mean, ">" if n_open else "", len(after_hits), method)
