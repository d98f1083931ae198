"""The rate that a system can sustain: how it is searched for, and what it was found to be.

METHOD M8. A site is a label at a workload and a topology. Everything here is a function of the
tables, so that a resumed campaign goes on as it would have gone on, and a report can be made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lab.analysis.metrics.registry import USABLE, last_attempts
from lab.analysis.statistics import interval
from lab.core.model import Burst, Flag, Probe, Step
from lab.planning.presets import Ladder
from lab.results.schema import MetricRow

SITE = [
    "label",
    "workload",
    "size",
    "provider",
    "nodes",
    "cores_per_node",
    "workers_per_node",
    "quota_cpus",
]
Site = tuple[Any, ...]
# More than one generator is asked to make here: a fifth of what it makes of tasks that nobody runs
# (METHOD M19), and what a window can hold.
CEILING_HZ = 20_000.0
ABOVE_SATURATION = 1.1
DIGITS = 4
LIMITED = "generator_limited: achieved rate"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one probe said of a rate; `held` is None where it cannot be believed."""

    rate_hz: float
    held: bool | None
    is_limited: bool = False


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is known of a site: its rate of saturation, and what its probes answered, in order."""

    saturation_hz: float | None
    answers: Sequence[Answer] = ()

    def at(self, rate_hz: float) -> list[Answer]:
        """Return the answers at a rate."""
        return [answer for answer in self.answers if answer.rate_hz == rate_hz]

    @property
    def rates(self) -> list[float]:
        """Every rate that was asked, ascending."""
        return sorted({answer.rate_hz for answer in self.answers})

    @property
    def failed_hz(self) -> float | None:
        """The lowest rate that was not held."""
        return next((rate for rate in self.rates if not _is_held(self.at(rate))), None)

    @property
    def sustained_hz(self) -> float | None:
        """The highest rate that was held, of those below the first that was not."""
        limit = self.failed_hz or float("inf")
        return max((rate for rate in self.rates if rate < limit), default=None)

    @property
    def bound(self) -> str:
        """``">"`` where the system was never seen to fail: the generator did, or nothing."""
        failed = self.failed_hz
        is_open = failed is None or all(a.is_limited for a in self.at(failed) if not a.held)
        return ">" if is_open else ""


def _is_held(answers: Sequence[Answer]) -> bool:
    told = [answer.held for answer in answers if answer.held is not None]
    return told.count(True) > told.count(False)


def _is_settled(answers: Sequence[Answer], repeats: int) -> bool:
    """Tell whether most of `repeats` probes agree already, or all were made."""
    told = [answer.held for answer in answers if answer.held is not None]
    return max(told.count(True), told.count(False)) > repeats // 2 or len(answers) >= repeats


def next_rate(known: Capacity, ladder: Ladder) -> float | None:
    """Return the rate to ask next, None where the search has ended.

    Bisection below 1.1 of the rate of saturation. Where saturation lies above what the generator
    is asked to make, that is asked first.
    """
    if known.saturation_hz is None:
        return None
    rates = known.rates
    for rate in rates:
        if not _is_settled(known.at(rate), ladder.repeats):
            return rate
    top = min(ABOVE_SATURATION * known.saturation_hz, CEILING_HZ)
    if not rates and top == CEILING_HZ:
        return top
    high, low = known.failed_hz or top, known.sustained_hz or 0.0
    if len(rates) >= ladder.most_rates or high - low <= ladder.tolerance * high:
        return None
    return rounded((low + high) / 2)


def rounded(rate_hz: float) -> float:
    """Round a rate, so that it reads well and its row can be found again."""
    return float(f"{rate_hz:.{DIGITS}g}")


def capacities(trials: pd.DataFrame, metrics: pd.DataFrame) -> dict[Site, Capacity]:
    """Tell what is known of every site that was probed or is about to be.

    Args:
        trials: `TrialRow` columns.
        metrics: `MetricRow` columns.
    """
    last = last_attempts(trials)
    told = metrics[metrics["metric"].isin(["throughput_per_s", "overloaded"])]
    # Of a table read back it may be null, with which nothing can be compared.
    told = told.assign(value=told["value"].astype("float64"))
    told = told.pivot_table(
        index=["trial_id", "attempt"], columns="metric", values="value", aggfunc="first"
    ).reindex(columns=["throughput_per_s", "overloaded"])
    table = last.merge(told.reset_index(), on=["trial_id", "attempt"], how="left")
    return {
        site: Capacity(_saturation(rows), [_answer(row) for row in _probes(rows)])
        for site, rows in table.groupby(SITE, sort=False)
    }


def _saturation(rows: pd.DataFrame) -> float | None:
    """Return the throughput of the largest bursts."""
    bursts = rows[(rows["arrival"] == Burst.kind) & rows["throughput_per_s"].notna()]
    bursts = bursts[bursts["status"].isin(USABLE)]
    largest = bursts[bursts["n_planned"] == bursts["n_planned"].max()]["throughput_per_s"]
    return interval(largest.astype("float64").tolist()).value if len(largest) else None


def _probes(rows: pd.DataFrame) -> Iterator[Any]:
    probes = rows[(rows["arrival"] == Probe.kind) & rows["rate_hz"].notna()]
    probes = probes.sort_values(["block", "rate_hz"])
    return probes.itertuples(index=False)


def _answer(row: Any) -> Answer:
    """Judge a probe: held when all criteria of M8 are; a disturbance does not help to hold."""
    rate, reasons = float(row.rate_hz), str(row.flag_reasons)
    if LIMITED in reasons:
        return Answer(rate, held=False, is_limited=True)
    if row.status not in USABLE:
        return Answer(rate, held=False)
    if row.overloaded == 0 and "inconsistent" not in reasons:
        return Answer(rate, held=True)
    return Answer(rate, None if row.flag == Flag.INVALID else False)


def loads(
    trials: pd.DataFrame, metrics: pd.DataFrame, found: Mapping[Site, Capacity]
) -> list[MetricRow]:
    """Tell of every trial of a ladder which share of the sustainable rate it offered, rho."""
    valid = set(metrics[metrics["is_valid"] == 1]["trial_id"])
    rows = []
    has_rate = trials["arrival"].isin([Probe.kind, Step.kind]) & trials["rate_hz"].notna()
    offered: Iterable[Any] = trials[has_rate].itertuples()
    for trial in offered:
        known = found[tuple(getattr(trial, name) for name in SITE)]
        if rate := known.sustained_hz:
            method = f"offered rate / sustainable rate, {known.bound}{rate:g} /s"
            is_valid = int(trial.trial_id in valid)
            value = float(trial.rate_hz) / rate
            where = (str(trial.trial_id), int(trial.attempt), "rho")
            rows.append(MetricRow(*where, value, "", "1", int(trial.n_sent), method, is_valid))
    return rows
