"""Tests how long the drain of a trial with a fault waits for redeliveries, and its estimate."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lab.analysis.labels import each
from lab.campaign.estimate import estimate_s, total_s
from lab.core.faults import HORIZONS, FaultKind, of_kind
from lab.core.model import Paced, TrialSpec
from lab.planning import fault_tasks, faults, redelivery, registry
from lab.planning.plan import Selection, make_plan
from lab.planning.presets import PRESETS, Case
from lab.results.store import Store
from tests.factories.trials import spec_of

QUICK_S, STANDARD_S = (PRESETS[name].deadline_s for name in ("quick", "standard"))
REFERENCE = Path(__file__).parents[3] / "results" / "reference" / "faults"


def planned(label: str, kind: FaultKind, preset: str = "quick") -> TrialSpec:
    """Return a trial with a fault as a preset plans it."""
    case = Case("io", Paced(100, 10.0), 50_000, fault=of_kind(kind))
    size = PRESETS[preset]
    labels = (registry.select(label).label,)
    selection = Selection(labels, (case,), (1,), (1,), (1,), "local", 1, 5, 1, size.deadline_s)
    (spec,) = make_plan(selection).trials
    return spec


@pytest.mark.parametrize("label", ["celery@safe", "django-q[orm+sqlite]", "rq@safe"])
def test_a_quick_drain_is_long_enough_to_decide_each_task(label: str) -> None:
    """A task of a killed worker comes back after the horizon, however short the preset is."""
    spec = planned(label, FaultKind.WORKER_KILL)
    horizon_s = max(h or 0 for h in redelivery.horizons_s(registry.select(label)))
    assert spec.fault
    # The drain begins before the worker has been restarted.
    assert spec.deadline_s - spec.fault.pauses_s > HORIZONS * horizon_s > QUICK_S
    assert redelivery.undecided_after_s(spec) is None


@pytest.mark.parametrize(
    ("label", "after_s"),
    [("celery", 3_700.0), ("rq", 1_620.0), ("dask[distributed]", 300.0), ("raw-amqp", math.inf)],
)
def test_a_drain_is_not_planned_for_a_redelivery_that_takes_too_long(
    label: str, after_s: float
) -> None:
    """It keeps the length of the preset, and the plan says which tasks may stay unknown."""
    spec = planned(label, FaultKind.WORKER_KILL)
    assert spec.deadline_s == QUICK_S
    assert redelivery.undecided_after_s(spec) == after_s
    assert redelivery.undecided_after_s(planned(label, FaultKind.NONE)) is None


def test_other_trials_have_the_drain_of_their_preset() -> None:
    """Without a fault, without a redelivery, and in a preset that is long enough."""
    safe = registry.select("celery@safe")
    assert redelivery.deadline_s(safe, None, QUICK_S) == QUICK_S
    # Its task alone takes longer than the preset, which skips it.
    assert redelivery.deadline_s(safe, of_kind(FaultKind.OUTLIVE), QUICK_S) == QUICK_S
    assert planned("process-pool", FaultKind.CHILD_KILL).deadline_s == QUICK_S
    assert planned("celery@safe", FaultKind.WORKER_KILL, "standard").deadline_s == STANDARD_S


def test_the_estimate_has_the_wait_for_redeliveries() -> None:
    """The control does not wait, and the length of one fault says nothing about another."""
    kill, control = (
        planned("celery@safe", kind) for kind in (FaultKind.WORKER_KILL, FaultKind.NONE)
    )
    assert 60 < estimate_s(kill) - estimate_s(control) < kill.deadline_s
    seen = [(control, 0.5 * estimate_s(control))] * 500
    assert total_s([control], seen) == pytest.approx(0.5 * estimate_s(control), rel=0.02)
    assert total_s([kill], seen) > redelivery.wait_s(kill)
    outlive = planned("django-q[orm+sqlite]", FaultKind.OUTLIVE, "standard")
    assert redelivery.wait_s(outlive) == fault_tasks.outlive_work_s(outlive) > 100


def test_the_expected_waits_are_those_of_the_reference_campaign() -> None:
    """Their sum over all its trials of tasks is that of the recorded drains, within a tenth."""
    trials = Store(REFERENCE).read("trial")
    # Of a control that had a backlog, the drain is the work of the system and no wait.
    ran = trials[
        (trials["status"] == "ok")
        & (trials["arrival"] == "paced")
        & (trials["fault"] != "none")
        & trials[["t_begin_ns", "t_end_ns"]].notna().all(axis=1)
    ]
    recorded = expected = 0.0
    for row in each(ran):
        arrival = Paced(int(row.n_planned), float(row.rate_hz))
        spec = spec_of(
            row.label, "io", arrival, size=50_000, fault=faults.parse(row.fault),
            deadline_s=STANDARD_S,
        )  # fmt: skip
        if spec.fault and spec.fault.kind is not FaultKind.OUTLIVE:
            recorded += (row.t_end_ns - row.t_begin_ns) / 1e9 - row.n_planned / row.rate_hz
            expected += redelivery.wait_s(spec)
    assert expected == pytest.approx(recorded, rel=0.1)
