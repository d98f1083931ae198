"""Words the result of a run in one sentence: which system is first, at what, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from lab.analysis.environments import environment_of, label_of
from lab.analysis.labels import REFERENCE, each, identify
from lab.analysis.queries import THROUGHPUT
from lab.core.faults import FaultKind
from lab.core.model import COUNTED_FLAGS, Burst, Flag, Paced, Status
from lab.figures import Tables
from lab.report.answers.queries import cells, estimate_text, main_place, values
from lab.report.documented import documented_safe
from lab.report.number_format import MOST_NAMES, digits, enumeration, listed, plural, seconds
from lab.report.recommendation import tiers

# The questions in order; the first that the run measured is answered.
# p99 needs 662 tasks in a trial (METHOD M11); a shorter run is answered by its median.
WAITS = (("queue_latency_s_p99", "p99"), ("queue_latency_s_p50", "median"))


class Words(NamedTuple):
    """Words the sentence: what the first system does, and the quantity that is compared."""

    first: str
    quantity: str


def verdict(tables: Tables) -> str:
    """Return the sentence for the terminal and the first screen of the page.

    References are left out, and systems that lose tasks when a worker dies if others do not. A
    system is only named first if the interval of its ratio to the next one excludes 1; with too few
    blocks for an interval, if it is three times better.

    Args:
        tables: At least `trial`, `metric` and `estimate`.
    """
    for metric, percentile in WAITS:
        words = Words(f"waits least{{}}: {percentile} {{}}", f"{percentile} wait")
        if sentence := _first(tables, metric, Paced.kind, words, is_low_best=True):
            return sentence
    words = Words("runs most tasks per second{}: {}", "tasks per second")
    return _first(tables, THROUGHPUT, Burst.kind, words, is_low_best=False) or _nothing(tables)


def _first(tables: Tables, metric: str, arrival: str, words: Words, *, is_low_best: bool) -> str:
    estimates = cells(tables, metric)
    trials = values(tables, metric)
    # A reference bounds the systems and is no alternative to them (METHOD M18).
    estimates = estimates[(estimates["arrival"] == arrival) & (estimates["family"] != REFERENCE)]
    trials = trials[(trials["arrival"] == arrival) & (trials["family"] != REFERENCE)]
    if estimates.empty or trials.empty:
        return ""
    unranked = _unranked(tables["trial"], estimates, arrival)
    labels = sorted(set(estimates["label"]))
    safe = [label for label in labels if _keeps_tasks(label)]
    # A system that loses tasks when a worker dies is no alternative to one that keeps them. A
    # single safe system has no other to be compared with.
    group = ""
    if len(safe) > 1 and len(safe) < len(labels):
        labels, group = safe, " that keep tasks over a worker's death"
    group = _what(labels) + group
    estimates = estimates[estimates["label"].isin(labels)]
    # One sentence ranks one place.
    place = main_place(estimates)
    estimates = estimates[estimates["place"] == place].drop_duplicates("label")
    trials = trials[(trials["place"] == place) & trials["label"].isin(labels)]
    # `tiers` ranks the largest first.
    trials = trials.assign(value=1 / trials["value"]) if is_low_best else trials
    by_block = trials.pivot_table(index="block", columns="label", values="value")
    ranked = [str(label) for label in by_block.mean().sort_values(ascending=False).index]
    best, *others = tiers(by_block, ranked)
    rows = {row.label: row for row in each(estimates)}
    write = seconds if is_low_best else digits
    equal = [rows[label] for label, _ in best if label in rows]
    number = listed([estimate_text(row, write) for row in equal], "; ")
    where = f" ({place})"
    if not ranked[1:]:
        only = f"Only one system counts, so none is ranked{where}: {words.quantity} {number}."
        return f"{only} {unranked}".rstrip()
    if len(best) > 1:
        is_short = len(equal) <= MOST_NAMES
        names = enumeration([row.name for row in equal]) if is_short else str(len(equal))
        same = f"{names} are not distinguishable by {words.quantity}"
        return f"Of {len(ranked)} {group}, {same}{where}: {number}. {unranked}".rstrip()
    name = rows[best[0][0]].name
    # `estimate_text` begins with the name, which the sentence already has.
    number = number.removeprefix(f"{name} ")
    following, factor = others[0][0]
    behind = f"{digits(factor)} times better than the next"
    behind += _shared(by_block[[best[0][0], following]])
    first = words.first.format(where, number)
    return f"Of {len(ranked)} {group}, {name} {first}, {behind}. {unranked}".rstrip()


def _shared(by_block: pd.DataFrame) -> str:
    """Return in how many blocks two labels are compared, if some have a number of one only."""
    n_shared = len(by_block.dropna())
    if n_shared == by_block.count().max():
        return ""
    return f" in the {plural(n_shared, 'block')} that both have"


def _what(labels: Sequence[str]) -> str:
    """Return what the labels are: systems, or environments of one or several systems."""
    if not any(map(environment_of, labels)):
        return "systems"
    is_one = len({label_of(label) for label in labels}) == 1
    return "environments" if is_one else "pairs of a system and an environment"


def _unranked(trials: pd.DataFrame, estimates: pd.DataFrame, arrival: str) -> str:
    """Return a sentence with the systems that were measured, but disturbed in all trials."""
    ran = trials[(trials["arrival"] == arrival) & (trials["flag"] == Flag.DISTURBED)]
    ran = ran[~ran["label"].isin(estimates["label"])]
    named = ran.merge(identify(trials)[["label", "name"]], on="label")
    names = sorted(set(named[named["family"] != REFERENCE]["name"]))
    return f"Disturbed, and therefore not ranked: {enumeration(names)}." if names else ""


def _keeps_tasks(label: str) -> bool:
    """Return whether a system documents that it keeps tasks when a worker dies."""
    return FaultKind.WORKER_KILL in documented_safe(label)


def _nothing(tables: Tables) -> str:
    trials: pd.DataFrame = tables["trial"]
    ran = trials[trials["status"] != Status.SKIPPED]
    counted = ran["flag"].isin(COUNTED_FLAGS) & (ran["status"] == Status.OK)
    if len(ran) and not counted.any():
        # A trial that was repeated is one trial, as in the other counts of the terminal.
        n_trials = ran["trial_id"].nunique()
        return f"None of {plural(n_trials, 'trial')} counts, so no system is ranked."
    is_system = ran["family"] != REFERENCE
    if is_system.any() and not (counted & is_system).any():
        return f"Only references count: none of {plural(is_system.sum(), 'trial')} of systems does."
    return ""
