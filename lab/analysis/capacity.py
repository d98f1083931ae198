"""Searches the highest rate that a backend sustains, and computes it from the tables (METHOD M8).

A site is a label with a workload and a topology. All functions depend only on the tables, so a
resumed campaign continues the same search, and a report can be recomputed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lab.analysis.attempts import USABLE, last_attempts
from lab.analysis.metrics.metric import RelativeMetric
from lab.analysis.statistics import interval
from lab.core.cell import SITE
from lab.core.model import COUNTED_FLAGS, Burst, LoadLevel, RateProbe
from lab.planning.presets import LoadSweep
from lab.results.schema.metric import MetricRow

CellKey = tuple[Any, ...]
# Highest rate of a probe: a fifth of the rate at which the generator submits to `null`
# (METHOD M19), and the most that one window can contain.
HIGHEST_RATE_HZ = 20_000.0
ABOVE_SATURATION = 1.1
DIGITS = 4
UTILIZATION = "utilization_of_capacity"
# Begins a reason of the checker (METHOD M7); `flag_reasons` is all that the table keeps of it.
LIMITED = "generator_limited: achieved rate"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of one probe; `is_sustained` is None if the trial is not valid.

    `is_limited` means that the generator, and not the backend, missed the rate.
    """

    rate_hz: float
    is_sustained: bool | None
    is_limited: bool = False


@dataclass(frozen=True, slots=True)
class Capacity:
    """The known rates of a site: the saturation from bursts, and its probes in order of time."""

    saturation_hz: float | None
    results: Sequence[ProbeResult] = ()

    def at(self, rate_hz: float) -> list[ProbeResult]:
        """Return the probes at a rate."""
        return [result for result in self.results if result.rate_hz == rate_hz]

    @property
    def rates(self) -> list[float]:
        """Return all probed rates, ascending."""
        return sorted({result.rate_hz for result in self.results})

    @property
    def failed_hz(self) -> float | None:
        """Return the lowest rate that was not sustained."""
        return next((rate for rate in self.rates if not _is_sustained(self.at(rate))), None)

    @property
    def sustained_hz(self) -> float | None:
        """Return the highest sustained rate below `failed_hz`."""
        limit = self.failed_hz or float("inf")
        return max((rate for rate in self.rates if rate < limit), default=None)

    @property
    def bound(self) -> str:
        """Return ``">"`` if no rate failed, or only because of the generator's limit."""
        failed = self.failed_hz
        is_open = failed is None or all(a.is_limited for a in self.at(failed) if not a.is_sustained)
        return ">" if is_open else ""


def _is_sustained(results: Sequence[ProbeResult]) -> bool:
    votes = [result.is_sustained for result in results if result.is_sustained is not None]
    # A tie, or no valid probe, is not sustained: a rate is claimed only where most probes agree.
    return votes.count(True) > votes.count(False)


def _is_settled(results: Sequence[ProbeResult], repeats: int) -> bool:
    """Return whether a majority of `repeats` probes agrees, or all of them ran."""
    votes = [result.is_sustained for result in results if result.is_sustained is not None]
    # Probes without a verdict count as well: on a busy machine the search would not end otherwise.
    return max(votes.count(True), votes.count(False)) > repeats // 2 or len(results) >= repeats


def next_rate(known: Capacity, sweep: LoadSweep) -> float | None:
    """Return the rate of the next probe, or None if the search has ended.

    It is a bisection below 1.1 times the saturation. If that is above `HIGHEST_RATE_HZ`, the first
    probe is at `HIGHEST_RATE_HZ`.
    """
    if known.saturation_hz is None:
        return None
    rates = known.rates
    for rate in rates:
        if not _is_settled(known.at(rate), sweep.repeats):
            return rate
    top = min(ABOVE_SATURATION * known.saturation_hz, HIGHEST_RATE_HZ)
    # A backend that sustains the limit needs no search: its rate is reported as `>x` (METHOD M8).
    if not rates and top == HIGHEST_RATE_HZ:
        return top
    high, low = known.failed_hz or top, known.sustained_hz or 0.0
    if len(rates) >= sweep.most_rates or high - low <= sweep.tolerance * high:
        return None
    return rounded((low + high) / 2)


def rounded(rate_hz: float) -> float:
    """Round a rate to `DIGITS` significant digits, so that rows of one rate compare equal."""
    return float(f"{rate_hz:.{DIGITS}g}")


def capacities(trials: pd.DataFrame, metrics: pd.DataFrame) -> dict[CellKey, Capacity]:
    """Return the known rates of every site in `trials`.

    Args:
        trials: `TrialRow` columns.
        metrics: `MetricRow` columns.
    """
    last = last_attempts(trials)
    values = metrics[metrics["metric"].isin(["throughput_per_s", "overloaded"])]
    # A table read from a file has nullable values, which do not compare; NaN does.
    values = values.assign(value=values["value"].astype("float64"))
    values = values.pivot_table(
        index=["trial_id", "attempt"], columns="metric", values="value", aggfunc="first"
    ).reindex(columns=["throughput_per_s", "overloaded"])
    table = last.merge(values.reset_index(), on=["trial_id", "attempt"], how="left")
    return {
        site: Capacity(_saturation(rows), [_result(row) for row in _probes(rows)])
        for site, rows in table.groupby(SITE, sort=False)
    }


def _saturation(rows: pd.DataFrame) -> float | None:
    """Return the mean throughput of the largest bursts, None without one."""
    bursts = rows[(rows["arrival"] == Burst.kind) & rows["throughput_per_s"].notna()]
    bursts = bursts[bursts["status"].isin(USABLE)]
    # A load sweep runs a larger burst only where the first one was too short (`LoadSweep`).
    largest = bursts[bursts["n_planned"] == bursts["n_planned"].max()]["throughput_per_s"]
    return interval(largest.astype("float64").tolist()).value if len(largest) else None


def _probes(rows: pd.DataFrame) -> Iterator[Any]:
    # A probe without a rate compares with no other, and would end the search of every site.
    probes = rows[(rows["arrival"] == RateProbe.kind) & rows["rate_hz"].notna()]
    probes = probes.sort_values(["block", "rate_hz"])
    return probes.itertuples(index=False)


def _result(row: Any) -> ProbeResult:
    """Judge a probe by the criteria of M8; a disturbed probe that was not sustained is unknown."""
    rate, reasons = float(row.rate_hz), str(row.flag_reasons)
    # First, because a rate that was not offered disproves nothing about the backend.
    if LIMITED in reasons:
        return ProbeResult(rate, is_sustained=False, is_limited=True)
    if row.status not in USABLE:
        return ProbeResult(rate, is_sustained=False)
    # A disturbance only slows a backend down: a probe that was sustained counts in spite of it.
    if row.overloaded == 0 and "inconsistent" not in reasons:
        return ProbeResult(rate, is_sustained=True)
    return ProbeResult(rate, False if row.flag in COUNTED_FLAGS else None)


def metrics() -> Iterator[RelativeMetric]:
    """Yield the metric of this module."""
    about = "Offered rate, divided by the sustainable rate of the same run."
    arrivals = (RateProbe.kind, LoadLevel.kind)
    yield RelativeMetric(UTILIZATION, "1", "lower", about, utilization, arrivals)


def utilization(trials: pd.DataFrame, table: pd.DataFrame) -> list[MetricRow]:
    """Return rho, offered rate / sustainable rate, for each probe and each load level.

    Args:
        trials: `TrialRow` columns.
        table: `MetricRow` columns: the metrics of these trials.
    """
    capacity_of = capacities(trials, table)
    valid = set(table[table["is_valid"] == 1]["trial_id"])
    rows = []
    has_rate = trials["arrival"].isin([RateProbe.kind, LoadLevel.kind]) & trials["rate_hz"].notna()
    offered: Iterable[Any] = trials[has_rate].itertuples()
    for trial in offered:
        known = capacity_of[tuple(getattr(trial, name) for name in SITE)]
        # Without a sustained rate there is nothing to divide by; `estimate` has the reason.
        if rate := known.sustained_hz:
            method = f"offered rate / sustainable rate, {known.bound}{rate:g} /s"
            is_valid = int(trial.trial_id in valid)
            value = float(trial.rate_hz) / rate
            where = (str(trial.trial_id), int(trial.attempt), UTILIZATION)
            rows.append(MetricRow(*where, value, "", "1", int(trial.n_sent), method, is_valid))
    return rows
