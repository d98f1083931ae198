"""Finds the disturbed trials that an answer leaves out: they were measured, and are not ranked."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lab.analysis.attempts import last_attempts
from lab.analysis.cells import cell_key
from lab.analysis.labels import each
from lab.core.model import Flag
from lab.figures import Tables
from lab.report.answers.answer import Sentence
from lab.report.answers.queries import names_of
from lab.report.number_format import plural

ESTIMATE = re.compile(r"estimate\.csv row ([0-9]+)")


def unranked(tables: Tables, said: Iterable[Sentence], measured: Iterable[Sentence]) -> str:
    """Return which trials would change the answer if they were not disturbed; empty if none.

    Args:
        tables: The tables from which the question was answered.
        said: Its answer.
        measured: Its answer from the tables as if disturbed trials counted.
    """
    last = last_attempts(tables["trial"])
    disturbed = last[last["flag"] == Flag.DISTURBED].merge(names_of(tables), on="label")
    answered, rows = _rows(said), _rows(measured)
    estimates = tables["estimate"]
    numbers = [int(match[1]) - 1 for match in map(ESTIMATE.fullmatch, rows) if match]
    cells = {cell_key(row) for row in each(estimates.loc[numbers])}
    left_out = [
        trial
        for trial in each(disturbed)
        # An answer may count disturbed trials, such as that about lost tasks.
        if trial.trial_id not in answered and (trial.trial_id in rows or cell_key(trial) in cells)
    ]
    if not left_out:
        return ""
    names = ", ".join(dict.fromkeys(trial.name for trial in left_out))
    return f"{plural(len(left_out), 'trial')} of {names}"


def _rows(sentences: Iterable[Sentence]) -> set[str]:
    return {row for sentence in sentences for row in sentence.rows}
