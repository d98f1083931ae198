"""Tests that the reasons of flags are words, and are counted without their figures."""

from __future__ import annotations

import pandas as pd

from lab.report.flag_reasons import flag_reasons, in_words, why_not_counted

CPU, LATE = "other processes took CPU time", "generator_limited: the sender was"
TRIALS = pd.DataFrame(
    [
        ("disturbed", f"{CPU}: 81.4 % of the CPUs of the workers"),
        ("disturbed", f"{CPU}: 23.9 % of the CPUs of the workers; {LATE} 19.97 ms late"),
        ("noisy", f"{LATE} 1.20 ms late"),
        ("ok", ""),
    ],
    columns=["flag", "flag_reasons"],
)


def test_reasons_are_counted_without_figures() -> None:
    """A late sender is named in words, although its reason begins with the name of its rule."""
    assert flag_reasons(TRIALS) == [
        ("disturbed", CPU, 2),
        ("disturbed", "the sender of the tasks was late", 1),
        ("noisy", "the sender of the tasks was late", 1),
    ]
    assert in_words(f"{LATE} 7 ms late; steal 1 %") == "the sender was 7 ms late; steal 1 %"


def test_a_sentence_says_why_trials_do_not_count() -> None:
    """Noisy trials count, so they have none."""
    assert list(why_not_counted(TRIALS)) == [
        f"Why trials were disturbed: {CPU} (2 trials); the sender of the tasks was late (1 trial)."
    ]
    assert list(why_not_counted(TRIALS[TRIALS["flag"] == "ok"])) == []
