"""Answers whether threads are faster than processes on a free-threaded Python."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pandas as pd

from lab.analysis.queries import THROUGHPUT
from lab.core.model import Burst
from lab.figures import Tables
from lab.report.answers.answer import Sentence
from lab.report.answers.queries import by, placed, ratio, times, trial_rows, values
from lab.report.answers.speed import FEW_BLOCKS, verdict

# Runs calls in threads; the other variants of its family run coroutines in one.
TO_THREAD = "asyncio[to_thread]"
OF_THE_LAB = "the Python of the lab"


def free_threads(tables: Tables) -> Iterator[Sentence]:
    """Compare threads with processes without the GIL, and threads without and with the GIL.

    A run in which no threads ran without the GIL has no sentence.
    """
    free = _without_gil(tables["trial"])
    trials = values(tables, THROUGHPUT)
    trials = trials[(trials["arrival"] == Burst.kind) & (trials["nominal_ns"] > 0)]
    # The environment is what differs between the sides, so it is no part of the place.
    trials = placed(trials.assign(python=trials["environment"], environment=""))
    for place, group in by(trials, "place"):
        without, others = (
            group[group["python"].isin(free) == is_free] for is_free in (True, False)
        )
        for python, rows in by(without, "python"):
            yield from _threads_over_processes(f"{place}, {_name(python)}", rows)
            for other, locked in by(others, "python"):
                text = f"{place}, {_name(python)} relative to {_name(other)}"
                yield from _compared(text, _threaded(rows), _threaded(locked))


def _without_gil(trials: pd.DataFrame) -> set[str]:
    """Return the environments in which drivers ran without the GIL, by their settings."""
    is_free = [_lacks_gil(text) for text in trials["settings"]]
    return {*trials["environment"][is_free]}


def _lacks_gil(settings: str) -> bool:
    # The settings of a trial that failed early are empty, and a file may have any text.
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        return json.loads(settings).get("gil") is False
    return False


def _threaded(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[(trials["family"] == "threads") | (trials["name"] == TO_THREAD)]


def _name(python: str) -> str:
    return python or OF_THE_LAB


def _threads_over_processes(place: str, trials: pd.DataFrame) -> Iterator[Sentence]:
    """Compare each system of threads with each of processes."""
    for other, forked in by(trials[trials["family"] == "processes"], "name"):
        sides = [(name, rows, forked) for name, rows in by(_threaded(trials), "name")]
        yield from _sentence(f"{place}, throughput relative to {other}", sides)


def _compared(text: str, without: pd.DataFrame, locked: pd.DataFrame) -> Iterator[Sentence]:
    """Compare each system of threads with itself in another interpreter."""
    sides = [(name, rows, locked[locked["name"] == name]) for name, rows in by(without, "name")]
    yield from _sentence(f"{text}, throughput", sides)


def _sentence(text: str, sides: list[tuple[str, pd.DataFrame, pd.DataFrame]]) -> Iterator[Sentence]:
    """Yield a sentence with the ratio of each pair of sides that a block has."""
    parts, used = [], []
    for name, rows, others in sides:
        if (gain := ratio(rows, others)) is not None:
            result = verdict(gain, "gains", "loses", "shows no gain", FEW_BLOCKS)
            parts.append(f"{name} {result}, {times(gain)}")
            used += [rows, others]
    if parts:
        yield Sentence(text, trial_rows(pd.concat(used)), parts)
