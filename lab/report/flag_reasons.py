"""Words the reasons why trials are flagged, such as those that disturbed them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd

from lab.analysis.labels import each
from lab.core.model import COUNTED_FLAGS, Flag, Status
from lab.report.number_format import plural
from lab.validation.issue import LIMITED, SEPARATOR, is_limited

LATE = "the sender of the tasks was late"
# Each trial has its own figures: with them, one reason would be counted as many.
DETAIL = re.compile(r"(?::|\s*[\d<>=(]).*")
OVERLOADED = (
    "the machine was not busy, and the offered rate was more than the system takes from one sender"
)


def is_overloaded(trial: Any) -> bool:
    """Return whether the offered rate alone disturbed a trial, by its row.

    The CPU time of other processes was read, and is none of the reasons.
    """
    is_disturbed = trial.status == Status.OK and trial.flag == Flag.DISTURBED
    is_read = pd.notna(trial.cpu_taken) and not trial.fault
    return bool(is_disturbed and is_read and is_limited(trial.flag_reasons))


def in_words(reasons: str) -> str:
    """Return the column `flag_reasons` of a trial without names of the method."""
    return reasons.replace(LIMITED, "")


def flag_reasons(trials: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Count the reasons of attempts that are not ok, without their figures and details."""
    counts: Counter[tuple[str, str]] = Counter()
    for trial in each(trials[trials["flag"] != Flag.OK]):
        for reason in filter(None, SEPARATOR.split(str(trial.flag_reasons))):
            # A reason that begins with a figure would become empty, so it stays whole.
            short = LATE if reason.startswith(LIMITED) else DETAIL.sub("", reason) or reason
            counts[str(trial.flag), short] += 1
    return [(flag, reason, count) for (flag, reason), count in counts.most_common()]


def why_not_counted(trials: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence with the reasons of each flag whose trials do not count."""
    counted = flag_reasons(trials)
    for flag in Flag:
        reasons = [f"{why} ({plural(n, 'trial')})" for of, why, n in counted if of == flag]
        if reasons and flag not in COUNTED_FLAGS:
            yield f"Why trials were {flag}: {'; '.join(reasons)}."
