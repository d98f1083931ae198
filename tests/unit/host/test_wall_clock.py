"""The wall clock beside CLOCK_MONOTONIC: what is a step, and what a trial's row says of one."""

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


def reading(at_ns: int, offset_ns: int = OFFSET_NS, gap_ns: int = 200) -> wall_clock.Reading:
    """Read both clocks at an instant; the wall clock somewhere in the gap."""
    return (at_ns, at_ns + gap_ns // 2 + offset_ns, at_ns + gap_ns)


def test_a_reading_tells_the_offset_to_half_its_gap() -> None:
    """The truth lies within the bound, wherever in the gap the wall clock was read."""
    for part in (0, 50, 100, 200):
        read = (1_000, 1_000 + part + OFFSET_NS, 1_200)
        assert abs(wall_clock.offset_ns(read) - OFFSET_NS) <= wall_clock.bound_ns(read) == 100


def test_readings_of_this_machine_agree() -> None:
    """Nobody sets the clock while this test runs."""
    assert wall_clock.step_ns([wall_clock.read() for _ in range(100)]) <= wall_clock.LARGEST_STEP_NS


@pytest.mark.parametrize("step_ms", [-250, -2, 2, 3_600_000])
def test_a_step_is_found_whichever_way_it_goes(step_ms: int) -> None:
    """Wherever among the readings the clock was set."""
    stepped = OFFSET_NS + step_ms * MS
    readings = [reading(1), reading(60), reading(120, stepped), reading(180, stepped)]
    assert wall_clock.step_ns(readings) == pytest.approx(abs(step_ms) * MS, abs=400)


def test_a_slow_reading_is_no_step() -> None:
    """A reading that took 50 ms tells the offset to 25 ms, and accuses nobody of less."""
    readings = [reading(1), reading(60, OFFSET_NS + 20 * MS, gap_ns=50 * MS)]
    assert wall_clock.step_ns(readings) == 0
    assert wall_clock.step_ns([]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("step_ms", "flagged"), [(0, False), (5, True)])
def test_a_trial_in_which_the_clock_was_set_is_invalid(
    step_ms: int, flagged: bool, tmp_path: Path
) -> None:
    """Its nominal instants are no longer what the system saw."""
    spec = spec_of("deadline-loop", arrival=Periodic(1, 2, every_s=1.0))
    outcome = trial.run(spec, 1, tmp_path / "t", lambda _: None)
    status = tmp_path / "t" / "status.json"
    told: dict[str, Any] = json.loads(status.read_text())
    told["wall"][-1][1] += step_ms * MS
    status.write_text(json.dumps(told))
    row = collect(outcome, CONTEXT).row
    assert ("wall clock: set by" in row.flag_reasons) == flagged
    assert row.flag == "invalid" or not flagged
