"""Tests the metrics of trials with a fault on trials with known answers (METHOD M27 to M29)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lab.analysis.metrics import faults
from lab.analysis.statistics import RefusedError, Value
from lab.core.outcomes import TaskOutcome
from tests.factories.simulated import Instants, poisson, trial, window

RATE_HZ, WINDOW_S, SERVICE_S = 20.0, 60.0, 0.05
Row = tuple[str, int | None, float | None]
METRICS = {metric.name: metric for metric in faults.metrics()}


def outcomes(*rows: Row) -> pd.DataFrame:
    """Return the table of outcomes: outcome, hit and seconds until the redelivery."""
    table = pd.DataFrame(rows, columns=["outcome", "hit", "redelivery_ns"], dtype="object")
    delays_ns = [None if pd.isna(s) else round(s * 1e9) for s in table["redelivery_ns"]]
    table["redelivery_ns"] = pd.array(delays_ns, dtype="Int64")
    return table.astype({"hit": "Int64", "outcome": "str"})


def measured(name: str, table: pd.DataFrame, **changes: Any) -> Value:
    """Return a metric of a trial with 10 offered tasks and 3 hits."""
    row = trial("paced", **{"n_sent": 10, "n_hits": 3, "rate_hz": RATE_HZ, **changes})
    return METRICS[name].measure(row, table)


SEVERAL = outcomes(
    *[("ok", None, None)] * 3,
    *[(TaskOutcome.LOST_SILENT, 0, None)] * 2,
    ("lost-reported", 0, None),
    ("stuck", 1, None),
    ("duplicated", 1, 2.0),
    ("re-executed", 2, 61.0),
    ("re-executed", 2, 3.0),
)


@pytest.mark.parametrize(
    ("name", "k"),
    [
        ("lost_silent_ratio", 2),
        ("lost_reported_ratio", 1),
        ("stuck_ratio", 1),
        ("duplicated_ratio", 1),
        ("re_executed_ratio", 2),
        ("unknown_ratio", 0),
    ],
)
def test_a_ratio_is_a_share_of_the_offered_tasks(name: str, k: int) -> None:
    """Each ratio states k of n; without unknown tasks it is exact."""
    value = measured(name, SEVERAL)
    assert (value.value, value.n, value.bound, value.method) == (k / 10, 10, "", f"{k} of 10")


def test_an_unknown_task_makes_a_loss_a_lower_bound() -> None:
    """It may still be lost or stuck; it has no report of a failure and no second finish."""
    table = outcomes((TaskOutcome.LOST_SILENT, 0, None), ("unknown", 1, None))
    lost = measured("lost_silent_ratio", table)
    assert (lost.value, lost.bound, lost.method) == (0.1, ">", "1 of 10; 1 more are unknown")
    assert measured("stuck_ratio", table).bound == ">"
    assert measured("lost_reported_ratio", table).bound == ""
    assert measured("duplicated_ratio", table).bound == ""
    assert measured("unknown_ratio", table).value == 0.1


def test_the_redelivery_delay_is_that_of_the_interrupted_tasks() -> None:
    """Median and maximum over the tasks that started again."""
    assert measured("redelivery_delay_s_p50", SEVERAL).value == 3.0
    longest = measured("redelivery_delay_s_max", SEVERAL)
    assert (longest.value, longest.bound, longest.n) == (61.0, "", 3)


def test_a_task_that_may_still_be_redelivered_makes_the_delay_a_lower_bound() -> None:
    """A task without a hit was not interrupted, so nothing is redelivered."""
    interrupted = outcomes(("re-executed", 0, 1.0), ("unknown", 0, None))
    assert measured("redelivery_delay_s_max", interrupted).bound == ">"
    elsewhere = outcomes(("re-executed", 0, 1.0), ("unknown", None, None))
    assert measured("redelivery_delay_s_max", elsewhere).bound == ""
    with pytest.raises(RefusedError, match="started again"):
        measured("redelivery_delay_s_p50", outcomes((TaskOutcome.LOST_SILENT, 0, None)))


def test_a_hit_is_survived_without_a_harmed_task() -> None:
    """Lost, stuck and finished twice are harm; a task that ran again and finished once is none."""
    value = measured("faults_survived_ratio", SEVERAL)
    assert (value.value, value.n, value.method) == (1 / 3, 3, "1 of 3")
    quiet = outcomes(("ok", None, None), ("recovered", 0, None), ("refused", 1, None))
    assert measured("faults_survived_ratio", quiet).value == 1.0


def test_a_hit_with_unknown_tasks_is_not_decided() -> None:
    """It is left out, unless a task of it was harmed for certain."""
    table = outcomes(("unknown", 0, None), ("unknown", 1, None), (TaskOutcome.LOST_SILENT, 1, None))
    value = measured("faults_survived_ratio", table)
    assert (value.value, value.n) == (0.5, 2)
    assert "unknown tasks, which are left out: 1" in value.method
    with pytest.raises(RefusedError, match="No hit is decided"):
        measured("faults_survived_ratio", table, n_hits=1, n_sent=1)


def served(
    t0: Instants, hits_s: Sequence[float], away_s: float, *, caught_up: bool
) -> pd.DataFrame:
    """Return the service of a system that finishes nothing for `away_s` seconds after each hit.

    The tasks of that time are finished right after it, or never.
    """
    t4 = t0 + SERVICE_S
    is_lost = np.zeros(t0.size, dtype=bool)
    for hit in hits_s:
        is_away = (t4 >= hit) & (t4 < hit + away_s)
        t4[is_away] = hit + away_s + SERVICE_S
        is_lost |= is_away & (not caught_up)
    tasks = window(t0, t4, SERVICE_S)
    tasks["t4_ns"] = tasks["t4_ns"].astype("Int64").mask(is_lost)
    instants = pd.array([round(hit * 1e9) for hit in hits_s], dtype="Int64")
    return faults.service(tasks, pd.DataFrame({"injected_ns": instants}))


EVEN = np.arange(0, WINDOW_S, 1 / RATE_HZ)
PLANS = {"uniform": EVEN, "poisson": poisson(np.random.default_rng(7), RATE_HZ, EVEN.size)}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("hits_s", [(5.3,), (10.0, 20.5, 40.9)], ids=["one hit", "three hits"])
def test_a_control_recovers_at_once_and_loses_no_service(
    plan: str, hits_s: Sequence[float]
) -> None:
    """A hit that does nothing: the gaps of a Poisson plan are no outage (METHOD M27)."""
    events = served(PLANS[plan].copy(), hits_s, 0.0, caught_up=True)
    recovery, lost = (measured(n, events) for n in ("time_to_recover_s", "lost_service_tasks"))
    assert (recovery.value, recovery.bound, recovery.n) == (0.0, "", len(hits_s))
    assert (lost.value, lost.bound) == (0.0, "")


@pytest.mark.parametrize("caught_up", [True, False])
@pytest.mark.parametrize("away_s", [1.0, 3.0, 12.0])
def test_the_time_to_recover_is_the_time_without_service(away_s: float, *, caught_up: bool) -> None:
    """Service stops for some seconds after each of two hits, with and without a loss of tasks."""
    events = served(EVEN.copy(), (10.0, 35.0), away_s, caught_up=caught_up)
    recovery, lost = (measured(n, events) for n in ("time_to_recover_s", "lost_service_tasks"))
    assert (recovery.value, recovery.bound, recovery.n) == (away_s, "", 2)
    assert lost.value == pytest.approx(away_s * RATE_HZ, abs=1)


def test_a_hit_within_an_outage_belongs_to_it() -> None:
    """Two hits, two seconds apart, each stop the service for four seconds: one outage of six."""
    events = served(EVEN.copy(), (10.0, 12.0), 4.0, caught_up=False)
    recovery = measured("time_to_recover_s", events)
    assert (recovery.value, recovery.n, recovery.method) == (6.0, 1, "mean of 1 outages")


def test_a_service_that_does_not_return_in_the_window_is_a_lower_bound() -> None:
    """The second outage lasts to the end of the window."""
    events = served(EVEN.copy(), (10.0, 40.0), 30.0, caught_up=False)
    recovery = measured("time_to_recover_s", events)
    assert recovery.bound == ">"
    assert recovery.value == pytest.approx(49.0, abs=1)


def test_a_hit_at_the_end_of_the_window_shows_no_recovery() -> None:
    """Four quiet seconds are fewer than five; a short window after a real outage is a bound."""
    with pytest.raises(RefusedError, match="too early"):
        measured("time_to_recover_s", served(EVEN.copy(), (56.0,), 0.0, caught_up=True))
    late = measured("time_to_recover_s", served(EVEN.copy(), (56.0,), 2.0, caught_up=False))
    assert (late.value, late.bound) == (2.0, ">")


def test_a_system_that_did_not_keep_up_or_a_rate_too_low_has_no_recovery_time() -> None:
    """The time to recover needs a service before the hit, and enough tasks a second."""
    with pytest.raises(RefusedError, match="10 tasks a second; there are 5"):
        measured("time_to_recover_s", served(EVEN.copy(), (5.0,), 0.0, caught_up=True), rate_hz=5.0)
    slow = served(EVEN.copy(), (0.5, 30.0), 20.0, caught_up=False)
    slow = slow[~((slow["event"] == "hit") & (slow["t_ns"] < 1e9))]
    with pytest.raises(RefusedError, match="before the first hit"):
        measured("time_to_recover_s", slow)
    with pytest.raises(RefusedError, match="hit nothing"):
        measured("lost_service_tasks", served(EVEN.copy(), (), 0.0, caught_up=True))
