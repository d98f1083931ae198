"""Trials side by side: how much a number changes when one thing about a trial does.

Each round runs every side of every question once, in random order, and its values are one pair
with those of the first side. So what drifts meanwhile cancels out, and the ratio has an interval.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab import console
from lab.analysis import statistics
from lab.analysis.metrics import registry
from lab.core.errors import LabError
from lab.core.model import Flag, Status, TrialSpec
from lab.recording import host_counters
from lab.running import trial
from lab.validation.trial_row import Context, collect

COLUMNS = ("question", "number", "side", "first side", "this side", "ratio", "95 %", "disturbed")


@dataclass(frozen=True, slots=True)
class Question:
    """A number, and for each round a trial by side; all rounds have the same sides.

    `values` are found by `ask`, a list for each side; `disturbed` counts trials that the noise of
    the machine flags.
    """

    name: str
    metric: str
    rounds: Sequence[Mapping[str, TrialSpec]]
    values: dict[str, list[float]] = field(default_factory=dict)
    disturbed: list[Flag] = field(default_factory=list)


def ask(questions: Sequence[Question], order: random.Random) -> None:
    """Run every round of every question, and print each value as it comes."""
    for number in range(len(questions[0].rounds)):
        runs = [(question, side) for question in questions for side in question.rounds[number]]
        for question, side in order.sample(runs, len(runs)):
            value, flag = _value(question.rounds[number][side], question.metric)
            question.values.setdefault(side, []).append(value)
            question.disturbed.extend([flag] if flag != Flag.OK else [])
            words = f"{question.name}, {side}: {question.metric} {value:.6g}, {flag}"
            console.say(f"round {number + 1}/{len(question.rounds)} {words}")


def _value(spec: TrialSpec, metric: str) -> tuple[float, Flag]:
    before_ns = host_counters.calibrate()
    with tempfile.TemporaryDirectory() as folder:
        outcome = trial.run_trial(spec, 1, Path(folder) / "trial", lambda _: None)
        result = collect(outcome, Context("paired", "", 0, (before_ns, host_counters.calibrate())))
    if result.row.status != Status.OK:
        raise LabError(f"{spec.label} on {spec.provider} {result.row.status}: {result.row.reason}")
    window = result.tables["task"].query("phase == 'measure'")
    number = {row.metric: row for row in registry.trial_metrics(result.row, window)}[metric]
    if number.value is None:
        raise LabError(f"{spec.label} on {spec.provider} has no {metric}: {number.method}")
    return number.value, Flag(result.row.flag)


def show(title: str, questions: Sequence[Question]) -> None:
    """Print how each side compares with the first; values are geometric means over rounds."""
    console.show_table(title, COLUMNS, [row for one in questions for row in _rows(one)])


def _rows(question: Question) -> list[Sequence[str]]:
    first, *others = question.rounds[0]
    runs = len(question.rounds) * (1 + len(others))
    rows: list[Sequence[str]] = []
    for side in others:
        mine, its = question.values[side], question.values[first]
        ratio = statistics.paired_ratio(mine, its)
        ends = "-" if ratio.low is None else f"{ratio.low:.3f} .. {ratio.high:.3f}"
        means = [f"{statistics.interval(values).value:.4g}" for values in (its, mine)]
        disturbed = f"{len(question.disturbed)} of {runs}"
        texts = (*means, f"{ratio.value:.3f}", ends, disturbed)
        rows.append((question.name, question.metric, side, *texts))
    return rows
