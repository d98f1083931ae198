"""Tests the comparison of the wall clock with CLOCK_MONOTONIC, and the flag for a step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.core.model import Periodic
from lab.host import wall_clock
from lab.running import trial
from lab.validation.trial_row import collect
from tests.factories.trials import CONTEXT, spec_of

OFFSET_NS = 1_700_000_000_000_000_000
MS = 1_000_000


def reading(at_ns: int, offset_ns: int = OFFSET_NS, gap_ns: int = 200) -> wall_clock.ClockReading:
    """Return a reading at an instant, with the wall clock in the middle of the gap."""
    return (at_ns, at_ns + gap_ns // 2 + offset_ns, at_ns + gap_ns)


def test_the_error_of_an_offset_is_at_most_half_of_the_gap() -> None:
    """The true offset is within the bound, wherever in the gap the wall clock was read."""
    for part in (0, 50, 100, 200):
        clocks = (1_000, 1_000 + part + OFFSET_NS, 1_200)
        assert abs(wall_clock.offset_ns(clocks) - OFFSET_NS) <= wall_clock.bound_ns(clocks) == 100


def test_readings_of_this_machine_agree() -> None:
    """Assumes that the wall clock is not set while this test runs."""
    assert wall_clock.step_ns([wall_clock.read() for _ in range(100)]) <= wall_clock.LARGEST_STEP_NS


@pytest.mark.parametrize("step_ms", [-250, -2, 2, 3_600_000])
def test_a_step_in_either_direction_is_detected(step_ms: int) -> None:
    """The size of the step is estimated from the readings before and after it."""
    stepped = OFFSET_NS + step_ms * MS
    readings = [reading(1), reading(60), reading(120, stepped), reading(180, stepped)]
    assert wall_clock.step_ns(readings) == pytest.approx(abs(step_ms) * MS, abs=400)


def test_a_slow_reading_is_not_a_step() -> None:
    """A reading that took 50 ms has an error of up to 25 ms, so smaller steps do not count."""
    readings = [reading(1), reading(60, OFFSET_NS + 20 * MS, gap_ns=50 * MS)]
    assert wall_clock.step_ns(readings) == 0
    assert wall_clock.step_ns([]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("step_ms", "flagged"), [(0, False), (5, True)])
def test_a_trial_in_which_the_clock_was_set_is_invalid(
    step_ms: int, flagged: bool, tmp_path: Path
) -> None:
    """The nominal instants then differ from those of the backend."""
    spec = spec_of("deadline-loop", arrival=Periodic(1, 2, every_s=1.0))
    outcome = trial.run_trial(spec, 1, tmp_path / "t", lambda _: None)
    file = tmp_path / "t" / "status.json"
    status: dict[str, Any] = json.loads(file.read_text())
    status["wall"][-1][1] += step_ms * MS
    file.write_text(json.dumps(status))
    row = collect(outcome, CONTEXT).row
    assert ("wall clock: set by" in row.flag_reasons) == flagged
    assert row.flag == "invalid" or not flagged
