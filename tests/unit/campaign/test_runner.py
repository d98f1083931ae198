"""What was disturbed runs again: seldom, so that a campaign keeps the time that it told."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from lab.campaign import run_folder, runner
from lab.core.model import Arrival, Burst, Flag, Probe
from lab.planning.plan import Plan
from lab.recording import host_counters
from tests.factories.trials import spec_of


class Silent:
    """Says nothing."""

    def begin(self, *_: object) -> None:
        """Hear of the trials."""

    trial = phase = row = note = begin


@pytest.mark.parametrize(
    ("arrivals", "expected"),
    [
        # Two of three attempts are already more than a quarter of all.
        ([Burst(20), Burst(21), Burst(22)], [3, 1, 1]),
        # The search asks again by itself, where it cannot believe what it was answered.
        ([Probe(20, 200.0), Probe(20, 100.0)], [1, 1]),
    ],
)
def test_on_a_machine_that_is_always_disturbed_few_trials_run_again(
    arrivals: list[Arrival],
    expected: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every attempt is a row with its flag, and two reruns are the most of one trial."""
    speeds = itertools.count(1)
    monkeypatch.setattr(host_counters, "calibrate", lambda: 2 ** next(speeds))
    specs = [spec_of("inline", arrival=kind) for kind in arrivals]
    run = run_folder.Run(Plan(tuple(specs), ()), "quick", seed=1, reruns=2, command="lab bench")
    rows = runner.execute(run_folder.create(tmp_path, run), run, Silent())
    assert {row.flag for row in rows} == {Flag.INVALID}
    assert [sum(row.trial_id == spec.id for row in rows) for spec in specs] == expected
