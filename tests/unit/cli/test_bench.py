"""Tests the last lines of a campaign: the trials by flag, and whether enough of them count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from lab.cli import bench
from lab.core.errors import ExitCode
from lab.results.schema import TrialRow
from tests.factories.campaigns import BLANK


def rows(*flags: str) -> list[TrialRow]:
    """Return one finished trial for each flag."""
    return [
        replace(BLANK, trial_id=f"{number}", status="ok", flag=flag)
        for number, flag in enumerate(flags)
    ]


def test_trials_are_counted_by_flag() -> None:
    """Failed trials are counted apart, and skipped ones are not trials."""
    others = [replace(BLANK, status=status) for status in ("failed", "timeout", "skipped")]
    counted = bench.counts([*rows("ok", "ok", "disturbed"), *others])
    assert counted == "5 trials: 2 ok, 1 disturbed, 2 failed or timed out."
    assert bench.counts([]) == "0 trials: all were skipped."


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("ok", "noisy", "disturbed"), ""),
        (("disturbed", "ok"), ""),
        (("disturbed", "disturbed", "noisy"), "Only 1 of 3 trials count: the others were dist"),
        (("invalid", "invalid"), ""),
    ],
)
def test_a_run_that_is_mostly_disturbed_says_so(flags: Sequence[str], sentence: str) -> None:
    """Wrong records are no fault of the machine."""
    assert bench.few_count(rows(*flags)).startswith(sentence)
    assert bool(bench.few_count(rows(*flags))) == bool(sentence)


def test_only_the_last_attempt_counts() -> None:
    """A trial that was disturbed, and then repeated without, counts."""
    first, second = rows("disturbed", "disturbed")
    again = [replace(row, attempt=2, flag="ok") for row in (first, second)]
    assert bench.few_count([first, second]) != ""
    assert bench.few_count([first, again[0], second, again[1]]) == ""


def test_exit_code_of_a_disturbed_run_is_that_of_the_machine() -> None:
    """A failed trial is worse; the option accepts the disturbance."""
    disturbed = rows("disturbed", "disturbed")
    failed = [*disturbed, replace(BLANK, trial_id="f", status="failed")]
    assert bench.exit_code(disturbed, is_allowed=False) == ExitCode.MACHINE_FAILED
    assert bench.exit_code(disturbed, is_allowed=True) == ExitCode.FINE
    assert bench.exit_code(failed, is_allowed=False) == ExitCode.TRIAL_FAILED


def test_the_speed_of_the_cpu_is_reported_beside_the_counts() -> None:
    """It is the machine's own spread: a number, and no flag."""
    changes = [replace(BLANK, calibration_drift=change) for change in (0.11, 0.02, 0.59)]
    assert "changed by 11 % at the median and 59 % at most" in bench.spread(changes)
    assert bench.spread([BLANK]) == ""
