"""Tests the last lines of a campaign: the trials by flag, and whether enough of them count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import pandas as pd
import pytest

from lab.cli import conclusion
from lab.core.errors import ExitCode
from lab.report.first_screen import machine_state
from lab.report.verdict import _nothing
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
    others = [
        replace(BLANK, trial_id=status, status=status)
        for status in ("failed", "timeout", "skipped")
    ]
    counted = conclusion.counts([*rows("ok", "ok", "disturbed"), *others])
    assert counted == "5 trials: 2 ok, 1 disturbed, 2 failed or timed out."
    assert conclusion.counts([]) == "0 trials: all were skipped."
    again = [*rows("disturbed", "ok"), *(replace(row, attempt=2) for row in rows("ok"))]
    assert conclusion.counts(again) == "3 attempts at 2 trials: 2 ok, 1 disturbed."


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("ok", "noisy", "disturbed"), ""),
        (("disturbed", "ok"), ""),
        (("disturbed", "disturbed", "noisy"), "Only 1 of 3 trials counts: 2 were disturbed by"),
        (("disturbed",) * 3 + ("ok",) * 2, "Only 2 of 5 trials count: 3 were disturbed by"),
        (("disturbed", "disturbed"), "None of 2 trials counts: 2 were disturbed by"),
        (("invalid", "invalid", "disturbed"), "None of 3 trials counts: 1 was disturbed by"),
        (("invalid", "invalid"), ""),
    ],
)
def test_a_run_that_is_mostly_disturbed_says_so(flags: Sequence[str], sentence: str) -> None:
    """Wrong records are no fault of the machine."""
    assert conclusion.few_count(rows(*flags)).startswith(sentence)
    assert bool(conclusion.few_count(rows(*flags))) == bool(sentence)


def test_only_the_last_attempt_counts() -> None:
    """A trial that was disturbed, and then repeated without, counts."""
    first, second = rows("disturbed", "disturbed")
    again = [replace(row, attempt=2, flag="ok") for row in (first, second)]
    assert conclusion.few_count([first, second]) != ""
    assert conclusion.few_count([first, again[0], second, again[1]]) == ""


def test_exit_code_of_a_disturbed_run_is_that_of_the_machine() -> None:
    """A failed trial is worse; the option accepts the disturbance."""
    disturbed = rows("disturbed", "disturbed")
    failed = [*disturbed, replace(BLANK, trial_id="f", status="failed")]
    assert conclusion.exit_code(disturbed, is_allowed=False) == ExitCode.MACHINE_FAILED
    assert conclusion.exit_code(disturbed, is_allowed=True) == ExitCode.FINE
    assert conclusion.exit_code(failed, is_allowed=False) == ExitCode.TRIAL_FAILED


@pytest.mark.parametrize("is_allowed", [False, True])
def test_the_next_steps_name_the_option_that_accepts_a_disturbed_run(*, is_allowed: bool) -> None:
    """A user who gave the option sees no exit code, because it is 0."""
    steps = conclusion.next_steps("RUN", rows("disturbed"), is_allowed=is_allowed)
    assert "lab bench --like RUN" in steps
    assert "lab doctor" in steps
    assert ("--allow-disturbed" in steps and "exit code is 5" in steps) != is_allowed


def test_a_run_with_disturbed_and_failed_trials_has_one_count_and_its_own_exit_code() -> None:
    """It announced exit code 5 and ended with 1, and counted 5 trials and then 6."""
    both = [*rows("disturbed", "disturbed"), replace(BLANK, trial_id="t", status="timeout")]
    # The last lines of the terminal count trials, and not attempts.
    both.append(replace(both[0], attempt=2))
    lack = conclusion.few_count(both)
    assert lack.startswith("None of 3 trials counts: 2 were disturbed by other processes")
    assert "and 1 failed or timed out" in lack
    steps = conclusion.next_steps("RUN", both, is_allowed=False)
    code = conclusion.exit_code(both, is_allowed=False)
    assert steps.endswith(f"its exit code is {code}, because a trial failed or timed out.")
    assert "--allow-disturbed" not in steps
    trials = pd.DataFrame([asdict(row) for row in both])
    assert _nothing({"trial": trials}).startswith("None of 3 trials counts")


def test_the_next_steps_name_the_function_of_the_user() -> None:
    """A stored run does not call it without its name on the command line."""
    disturbed = [replace(row, workload='shop:resize["a b"]') for row in rows("disturbed")]
    steps = conclusion.next_steps("RUN", disturbed, is_allowed=True)
    assert steps.endswith("""lab bench --like RUN --task shop:resize --args '["a b"]'""")


def test_an_overloaded_system_is_not_called_a_busy_machine() -> None:
    """If the sender alone missed its plan, the next step is a lower rate, no quieter machine."""
    late = "generator_limited: achieved rate -8.0% off the plan (limit 2%)"
    both = [
        replace(row, flag_reasons=late, cpu_taken=0.01) for row in rows("disturbed", "disturbed")
    ]
    assert "2 disturbed (2 overloaded: the machine was not busy, and " in conclusion.counts(both)
    lack = conclusion.few_count(both)
    assert "None of 2 trials counts: 2 were overloaded: the machine was not busy" in lack
    assert "other processes" not in lack
    steps = conclusion.next_steps("RUN", both, is_allowed=True)
    assert "--rate" in steps
    assert "lab doctor" not in steps
    mixed = [both[0], replace(both[1], flag_reasons=f"{late}; other processes took CPU time")]
    assert "1 was disturbed by other processes" in conclusion.few_count(mixed)
    assert "1 was overloaded" in conclusion.few_count(mixed)
    assert "lab doctor" in conclusion.next_steps("RUN", mixed, is_allowed=True)
    # Where the CPU time of others was not read, nothing is known about the machine.
    unread = [replace(row, cpu_taken=None) for row in both]
    assert "overloaded" not in conclusion.counts(unread)


def test_the_speed_of_the_cpu_is_the_same_number_in_the_terminal_and_on_the_page() -> None:
    """One run had "44 %" in the terminal and "±25 %" on the page."""
    rows = [
        replace(BLANK, status=status, flag="ok", calibration_ns=loop_ns, calibration_drift=0.44)
        for status, loop_ns in (("ok", 10), ("ok", 12), ("ok", 15), ("failed", 90))
    ]
    sentence = conclusion.spread(rows)
    assert sentence == "The CPU's own speed varied by ±20 % between them."
    assert sentence in machine_state(pd.DataFrame([asdict(row) for row in rows]))
    assert conclusion.spread([BLANK]) == conclusion.spread([]) == ""
