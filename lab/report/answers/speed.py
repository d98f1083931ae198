"""Answers questions about speed: overhead, latency, scaling and threads."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pandas as pd

from lab.analysis.labels import each
from lab.analysis.queries import OVERHEAD, THROUGHPUT
from lab.core.backend import INLINE
from lab.core.model import Burst, Estimate, LoadLevel
from lab.figures import Tables
from lab.report.answers.answer import Sentence
from lab.report.answers.queries import (
    by,
    by_work,
    cells,
    estimate_text,
    ratio,
    said_once,
    times,
    trial_rows,
    values,
)
from lab.report.number_format import percent, plural, seconds

OF_REFERENCE = "throughput_of_reference"
UNDECIDED = "inconclusive against"
FEW_BLOCKS = "was measured in too few blocks"
TOO_FEW = "measured in too few blocks to be compared with"
WAITS = {"median wait": "queue_latency_s_p50", "99th percentile": "queue_latency_s_p99"}


def overhead(tables: Tables) -> Iterator[Sentence]:
    """Report each label's overhead, and its throughput relative to reference and plain loop."""
    for place, group in by(cells(tables, OVERHEAD), "place"):
        cheapest_first = group.sort_values("estimate")
        parts = [estimate_text(row, seconds) for row in each(cheapest_first)]
        yield Sentence(f"Overhead per task, {place}", list(cheapest_first["row"]), parts)
    yield from _of_reference(tables)
    trials = values(tables, THROUGHPUT)
    for workload, bursts in by_work(trials[trials["arrival"] == Burst.kind]):
        yield from _against_the_loop(workload, bursts)


def _of_reference(tables: Tables) -> Iterator[Sentence]:
    """Report each label's throughput as a share of its reference's."""
    references = tables["trial"].drop_duplicates("label").set_index("label")["reference"]
    for place, group in by(cells(tables, OF_REFERENCE), "place"):
        nearest_first = group.sort_values("estimate", ascending=False)
        parts = [
            f"{estimate_text(row, percent)} of {references[row.label].removesuffix('@default')}"
            for row in each(nearest_first)
        ]
        yield Sentence(
            f"Share of the reference's throughput, {place}", list(nearest_first["row"]), parts
        )


def _against_the_loop(workload: str, trials: pd.DataFrame) -> Iterator[Sentence]:
    """Compare the throughput of each label and topology with the plain loop's, per block."""
    loop = trials[trials["backend"] == INLINE]
    parts: dict[str, list[str]] = {}
    used: dict[str, list[pd.DataFrame]] = {}
    for (name, topology), rows in trials.groupby(["name", "topology"], sort=False):
        # The loop's rate is the numerator, because durations are inverse to rates.
        slowdown = None if rows["backend"].iloc[0] == INLINE else ratio(loop, rows)
        if slowdown is None:
            continue
        result = verdict(slowdown, "slower than", "faster than", UNDECIDED)
        text = f"{name} on {topology} takes {times(slowdown)} as long"
        parts.setdefault(result, []).append(text)
        used.setdefault(result, [loop]).append(rows)
    for result, texts in parts.items():
        text = f"For tasks of {workload}, {result} a plain loop over the tasks"
        words, said = said_once(text, texts)
        yield Sentence(words, trial_rows(pd.concat(used[result])), said)


def verdict(ratio: Estimate, above: str, below: str, neither: str, unknown: str = TOO_FEW) -> str:
    """Choose the text for a ratio; it differs from 1 if its interval excludes 1."""
    if ratio.low is None or ratio.high is None:
        return unknown
    if ratio.low > 1:
        return above
    return below if ratio.high < 1 else neither


def latency(tables: Tables) -> Iterator[Sentence]:
    """Rank the waits at each offered rate, and list labels that tie with the best.

    A load level that only one label was measured at is left out.
    """
    for title, metric in WAITS.items():
        trials = values(tables, metric)
        for place, group in by(cells(tables, metric), "place"):
            # A share of one system's capacity is a rate that no other was offered: it ranks
            # nothing, and the steps of a load sweep would fill the page.
            if len(group) == 1 and (group["arrival"] == LoadLevel.kind).all():
                continue
            order = group.sort_values("estimate")
            parts = [estimate_text(row, seconds) for row in each(order)]
            ties = _ties(trials[trials["place"] == place], list(order["name"]))
            tie = "; ".join(f"{', '.join(names)} {why} the first" for why, names in ties.items())
            title_ = f"{title} ({tie})" if tie else title
            yield Sentence(f"{place}, {title_}", [*order["row"]], parts)


def _ties(trials: pd.DataFrame, names: list[str]) -> dict[str, list[str]]:
    """Return the labels that are not shown to differ from the first, by the reason."""
    first = trials[trials["name"] == names[0]]
    ties: dict[str, list[str]] = {}
    for name in names[1:]:
        slowdown = ratio(trials[trials["name"] == name], first)
        if slowdown is None or slowdown.low is None:
            ties.setdefault(TOO_FEW, []).append(name)
        elif slowdown.low <= 1:
            ties.setdefault(UNDECIDED, []).append(name)
    return ties


def scaling(tables: Tables) -> Iterator[Sentence]:
    """Report each label's speed-up from its fewest workers to its most, and where gains end."""
    trials = values(tables, THROUGHPUT)
    trials = trials[trials["arrival"] == Burst.kind]
    for workload, group in by_work(trials):
        parts, used = [], []
        for name, rows in by(group, "name"):
            if gains := _gains(rows):
                parts.append(f"{name} {gains}")
                used.append(rows)
        if parts:
            words, parts = said_once(workload, parts)
            yield Sentence(words, trial_rows(pd.concat(used)), parts)


def _gains(trials: pd.DataFrame) -> str:
    steps = [group for _, group in trials.sort_values("workers").groupby("workers")]
    whole = ratio(steps[-1], steps[0])
    if len(steps) == 1 or whole is None:
        return ""
    limit = ""
    for fewer, more in pairwise(steps):
        gain = ratio(more, fewer)
        if gain is None or gain.low is None:
            break  # too few blocks to show where gains end
        if gain.low <= 1:
            limit = f", no gain shown beyond {fewer['workers'].iloc[0]}"
            break
    first, last = (int(step["workers"].iloc[0]) for step in (steps[0], steps[-1]))
    return f"{times(whole, last / first)} from {first} to {last} workers{limit}"


def threads(tables: Tables) -> Iterator[Sentence]:
    """Compare threads with a plain loop, for each workload with calibrated work."""
    trials = values(tables, THROUGHPUT)
    # Threads overlap work; without any, the throughput is that of the backend alone.
    trials = trials[(trials["arrival"] == Burst.kind) & (trials["nominal_ns"] > 0)]
    for workload, group in by_work(trials):
        loop, parts, used = group[group["backend"] == INLINE], [], []
        threaded = group[group["family"] == "threads"]
        for (name, _), rows in threaded.groupby(["name", "workers"], sort=False):
            if (gain := ratio(rows, loop)) is not None:
                result = verdict(gain, "gains", "loses", "shows no gain", FEW_BLOCKS)
                count = plural(int(rows["workers"].iloc[0]), "thread")
                parts.append(f"{name} with {count} {result}, {times(gain)}")
                used.append(rows)
        if parts:
            text, parts = said_once(f"{workload}, throughput relative to a plain loop", parts)
            yield Sentence(text, trial_rows(pd.concat([loop, *used])), parts)
