"""Words the reasons why trials are flagged, such as those that disturbed them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pandas as pd

from lab.analysis.labels import each
from lab.core.model import COUNTED_FLAGS, Flag
from lab.report.number_format import plural

# The name of a flag of METHOD M7, by which the lab finds it; the words after it say the same.
CODE = "generator_limited: "
LATE = "the sender of the tasks was late"
# Each trial has its own figures: with them, one reason would be counted as many.
DETAIL = re.compile(r"(?::|\s*[\d<>=(]).*")


def in_words(reasons: str) -> str:
    """Return the column `flag_reasons` of a trial without names of the method."""
    return reasons.replace(CODE, "")


def flag_reasons(trials: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Count the reasons of attempts that are not ok, without their figures and details."""
    counts: Counter[tuple[str, str]] = Counter()
    for trial in each(trials[trials["flag"] != Flag.OK]):
        for reason in filter(None, re.split(r"\s*;\s*", str(trial.flag_reasons))):
            # A reason that begins with a figure would become empty, so it stays whole.
            short = LATE if reason.startswith(CODE) else DETAIL.sub("", reason) or reason
            counts[str(trial.flag), short] += 1
    return [(flag, reason, count) for (flag, reason), count in counts.most_common()]


def why_not_counted(trials: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence with the reasons of each flag whose trials do not count."""
    counted = flag_reasons(trials)
    for flag in Flag:
        reasons = [f"{why} ({plural(n, 'trial')})" for of, why, n in counted if of == flag]
        if reasons and flag not in COUNTED_FLAGS:
            yield f"Why trials were {flag}: {'; '.join(reasons)}."
