"""Which is quicker, and when is any of them: overhead, latency, scaling, and what threads gain."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pandas as pd

from lab.analysis.labels import each
from lab.analysis.queries import OVERHEAD, THROUGHPUT
from lab.core.model import Burst, Step
from lab.figures import Tables
from lab.report.answers.answer import Said
from lab.report.answers.queries import by, cells, ratio, times, told, trial_rows, values
from lab.report.number_format import percent, plural, seconds

OF_CEILING = "throughput_of_ceiling"
LOOP = "inline"  # the backend that calls the function and nothing else
WAITS = {"median wait": "queue_latency_s_p50", "99th percentile": "queue_latency_s_p99"}


def overhead(tables: Tables) -> Iterator[Said]:
    """Tell what each system adds to a task, and how that compares with its ceiling and a loop."""
    found = cells(tables, OVERHEAD)
    for place, group in by(found, "place"):
        cheapest_first = group.sort_values("estimate")
        parts = [told(row, seconds) for row in each(cheapest_first)]
        yield Said(f"Added to a task of {place}", list(cheapest_first["row"]), parts)
    yield from _of_its_ceiling(tables)
    trials = values(tables, THROUGHPUT)
    for _, own in by(trials[trials["arrival"] == Burst.kind], "workload_name"):
        yield from _against_the_loop(own)


def _of_its_ceiling(tables: Tables) -> Iterator[Said]:
    """Tell how much of the rate of what bounds it each system reaches, and what that is."""
    named = tables["trial"].drop_duplicates("label").set_index("label")["ceiling"]
    for place, group in by(cells(tables, OF_CEILING), "place"):
        nearest_first = group.sort_values("estimate", ascending=False)
        parts = [
            f"{told(row, percent)} of {named[row.label].removesuffix('@default')}"
            for row in each(nearest_first)
        ]
        yield Said(f"Of the rate of its ceiling, {place}", list(nearest_first["row"]), parts)


def _against_the_loop(trials: pd.DataFrame) -> Iterator[Said]:
    """Compare the rate of each label and topology with the plain loop's, block by block."""
    loop = trials[trials["backend"] == LOOP]
    parts: dict[str, list[str]] = {}
    used: dict[str, list[pd.DataFrame]] = {}
    for (name, topology), own in trials.groupby(["name", "topology"], sort=False):
        found = None if own["backend"].iloc[0] == LOOP else ratio(loop, own)
        if found is None:
            continue
        where = verdict(found.low, found.high, "slower than", "quicker than", "not told apart from")
        parts.setdefault(where, []).append(f"{name} on {topology} takes {times(found)} as long")
        used.setdefault(where, [loop]).append(own)
    for where, told_of in parts.items():
        workload = trials["workload_name"].iloc[0]
        words = f"For tasks of {workload}, {where} a plain loop over them"
        yield Said(words, trial_rows(pd.concat(used[where])), told_of)


def verdict(low: float | None, high: float | None, above: str, below: str, neither: str) -> str:
    """Choose the word for a ratio: it differs from 1 when its interval leaves out 1."""
    if low is not None and low > 1:
        return above
    return below if high is not None and high < 1 else neither


def latency(tables: Tables) -> Iterator[Said]:
    """Rank the waits at each offered rate, and name those that the blocks cannot tell apart.

    A step of a ladder at which nobody else was asked ranks nobody: it is a part of a curve.
    """
    for words, metric in WAITS.items():
        found, trials = cells(tables, metric), values(tables, metric)
        for place, group in by(found, "place"):
            if len(group) == 1 and (group["arrival"] == Step.kind).all():
                continue
            order = group.sort_values("estimate")
            parts = [told(row, seconds) for row in each(order)]
            own = trials[trials["place"] == place]
            same = list(_not_apart(own, list(order["name"])))
            tie = f" ({', '.join(same)} not told apart from the first)" if same else ""
            yield Said(f"{place}, {words}{tie}", [*order["row"]], parts)


def _not_apart(trials: pd.DataFrame, names: list[str]) -> Iterator[str]:
    first = trials[trials["name"] == names[0]]
    for name in names[1:]:
        found = ratio(trials[trials["name"] == name], first)
        if found is None or found.low is None or found.low <= 1:
            yield name


def scaling(tables: Tables) -> Iterator[Said]:
    """Follow each label from its fewest workers to its most, as far as each step gains."""
    trials = values(tables, THROUGHPUT)
    trials = trials[trials["arrival"] == Burst.kind]
    for workload, group in by(trials, "workload_name"):
        parts, used = [], []
        for name, own in by(group, "name"):
            if told_steps := _steps(own):
                parts.append(f"{name} {told_steps}")
                used.append(own)
        if parts:
            yield Said(workload, trial_rows(pd.concat(used)), parts)


def _steps(own: pd.DataFrame) -> str:
    steps = [group for _, group in own.sort_values("workers").groupby("workers")]
    stops, whole = "", ratio(steps[-1], steps[0])
    if len(steps) == 1 or whole is None:
        return ""
    for fewer, more in pairwise(steps):
        found = ratio(more, fewer)
        if found is None or found.low is None or found.low <= 1:
            stops = f", and no gain is shown beyond {fewer['workers'].iloc[0]}"
            break
    first, last = (step["workers"].iloc[0] for step in (steps[0], steps[-1]))
    return f"{times(whole)} from {first} to {last} workers{stops}"


def threads(tables: Tables) -> Iterator[Said]:
    """Tell for each workload with work in it what threads gain over a plain loop."""
    trials = values(tables, THROUGHPUT)
    trials = trials[(trials["arrival"] == Burst.kind) & (trials["nominal_ns"] > 0)]
    for workload, group in by(trials, "workload_name"):
        loop, parts, used = group[group["backend"] == LOOP], [], []
        own_threads = group[group["family"] == "threads"]
        for (name, _), own in own_threads.groupby(["name", "workers"], sort=False):
            if (found := ratio(own, loop)) is not None:
                word = verdict(found.low, found.high, "gains", "loses", "shows no gain")
                count = plural(int(own["workers"].iloc[0]), "thread")
                parts.append(f"{name} with {count} {word}, {times(found)}")
                used.append(own)
        if parts:
            words = f"{workload}, tasks a second against a plain loop"
            yield Said(words, trial_rows(pd.concat([loop, *used])), parts)


def free_threads(tables: Tables) -> Iterator[Said]:
    """Compare threads with processes on a Python whose lock is off; silent on any other."""
    facts = dict(zip(tables["environment"]["key"], tables["environment"]["value"], strict=True))
    if facts.get("python.gil") != "0":
        return
    trials = values(tables, THROUGHPUT)
    trials = trials[(trials["arrival"] == Burst.kind) & (trials["nominal_ns"] > 0)]
    for place, group in by(trials, "place"):
        for name, own in by(group[group["family"] == "threads"], "name"):
            for other, rival in by(group[group["family"] == "processes"], "name"):
                if (found := ratio(own, rival)) is not None:
                    text = f"{place}, tasks a second: {name} does {times(found)} what {other} does."
                    yield Said(text, trial_rows(pd.concat([own, rival])))
