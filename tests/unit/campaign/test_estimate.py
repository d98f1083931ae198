"""Tests the estimate of how long trials take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from lab.campaign import estimate
from lab.campaign.estimate import estimate_s, slowdown_by, total_s
from lab.core.model import Burst, Idle
from lab.planning import registry
from lab.planning.plan import make_plan
from lab.planning.presets import Case
from tests.factories.trials import spec_of
from tests.unit.planning.test_plan import SELECTION


@pytest.mark.parametrize("clock", [time.monotonic, time.thread_time])
def test_the_work_of_arguments_is_cpu_time(
    clock: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine, one wait for a CPU of 10 ms made 5 minutes of a plan 10."""

    def argument(_size: int, _index: int) -> int:
        end_s = clock() + 0.01
        while clock() < end_s:
            time.sleep(0.01 if clock is time.monotonic else 0)
        return 1

    spec = spec_of("inline", arrival=Burst(1_000), warmup_tasks=0)
    module = SimpleNamespace(argument=argument, answer=lambda one: one)
    monkeypatch.setattr(registry, "workload", lambda _name: (None, module))
    for cached in (estimate._work_s, estimate._argument_s):
        monkeypatch.setattr(estimate, cached.__name__, cached.__wrapped__)
    assert (estimate_s(spec) > 9.0) is (clock is time.thread_time)


def test_the_estimate_uses_what_past_trials_took() -> None:
    """A label follows its own trials, and one without any the work of all others."""
    trials = make_plan(SELECTION).trials
    of_one = [spec for spec in trials if spec.label == trials[0].label]
    others = [spec for spec in trials if spec.label != trials[0].label]
    slow = [(spec, estimate_s(spec, 3.0)) for spec in of_one] * 500
    assert total_s(trials, slow) == pytest.approx(
        sum(estimate_s(spec, 3.0) for spec in trials), rel=0.02
    )
    known = [*slow, *[(spec, estimate_s(spec)) for spec in others] * 500]
    assert total_s(others, known) == pytest.approx(total_s(others), rel=0.02)


def test_one_slow_trial_does_not_multiply_the_estimate() -> None:
    """The first trial also reads programs from the disk, for example."""
    trials = make_plan(SELECTION).trials
    first = (trials[0], 3 * estimate_s(trials[0]))
    assert 1 < total_s(trials, [first]) / total_s(trials) < 2.5


def test_a_busy_machine_slows_work_and_no_wait() -> None:
    """Before the first trial, the load that was measured is all that is known."""
    assert [slowdown_by(share) for share in (0.0, 0.5, 1.0)] == [1, 2, 4]
    burst, idle = (
        make_plan(replace(SELECTION, cases=(Case("noop", arrival),))).trials
        for arrival in (Burst(1_000), Idle(100.0))
    )
    assert total_s(burst, slowdown=2.0) == pytest.approx(2 * total_s(burst))
    assert total_s(idle) + 100.0 > total_s(idle, slowdown=2.0) > total_s(idle) > 100.0
