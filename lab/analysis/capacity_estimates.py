"""Estimates the limits of each site: saturation, sustainable rate, throughput at an SLO.

METHOD M8. The estimates depend on the tables alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lab.analysis.attempts import last_attempts
from lab.analysis.capacity import Capacity, CellKey
from lab.analysis.statistics import LEVEL
from lab.core.cell import SITE
from lab.core.model import Flag, LoadLevel, RateProbe
from lab.results.schema import EstimateRow

SATURATION, SUSTAINABLE = "saturation_per_s", "sustainable_per_s"
# Metric -> limit in seconds: the metric is the largest rate whose p99 of t3 - t0 is within it.
SLOS_S: Mapping[str, float] = {
    "rate_at_10ms_per_s": 0.01,
    "rate_at_100ms_per_s": 0.1,
    "rate_at_1s_per_s": 1.0,
}
# The columns of a cell that are blank in an estimate over several rates.
BLANK: dict[str, Any] = {"rate_hz": None, "interarrival": "", "schedule": "", "n_planned": 0}
BLANK |= {"arrival_param_name": "", "arrival_param": None}
PERCENTILES = ("queue_latency_s_p99", "queue_latency_s_p90", "queue_latency_s_p50")


@dataclass(frozen=True, slots=True)
class SiteNumber:
    """One number of a site; `bound` is ``">"`` if the true value may be larger."""

    metric: str
    value: float | None
    bound: str
    n: int
    method: str
    low: float | None = None
    high: float | None = None


def estimates(
    trials: pd.DataFrame,
    metrics: pd.DataFrame,
    capacities: Mapping[CellKey, Capacity],
    analysis_id: str,
) -> list[EstimateRow]:
    """Return the rows of the table `estimate` for every site that was probed.

    The interval of a sustainable rate is its bracket: the rate itself, and the lowest rate that was
    not sustained.
    """
    last = last_attempts(trials)
    steps = last[last["arrival"].isin([RateProbe.kind, LoadLevel.kind])]
    percentiles = metrics[metrics["metric"].isin(PERCENTILES) & (metrics["is_valid"] == 1)]
    rows = []
    for site, site_trials in steps.groupby(SITE, sort=False):
        levels = site_trials[site_trials["arrival"] == LoadLevel.kind]
        waits = percentiles.merge(levels[["trial_id", "attempt", "rate_hz"]])
        # Above the sustainable rate, a wait depends on the length of the window.
        waits = waits[waits["rate_hz"] <= (capacities[site].sustained_hz or 0)]
        limits = [*_rates(capacities[site]), *(_at_slo(waits, *slo) for slo in SLOS_S.items())]
        n_noisy = int((site_trials["flag"] == Flag.NOISY).sum())
        columns = dict(zip(SITE, site, strict=True))
        rows += [_row(columns, limit, analysis_id, n_noisy) for limit in limits]
    return rows


def _row(site: Mapping[str, Any], limit: SiteNumber, analysis_id: str, n_noisy: int) -> EstimateRow:
    kind = RateProbe.kind if limit.metric in {SATURATION, SUSTAINABLE} else LoadLevel.kind
    cell = {**BLANK, **site, "arrival": kind}
    return EstimateRow(
        analysis_id=analysis_id,
        metric=limit.metric,
        **cell,
        estimate=limit.value,
        bound=limit.bound,
        ci_low=limit.low,
        ci_high=limit.high,
        ci_level=LEVEL,
        unit="1/s",
        n_trials=limit.n,
        n_noisy=n_noisy,
        n_excluded=0,
        method=limit.method,
    )


def _rates(known: Capacity) -> Iterator[SiteNumber]:
    """Yield the rate of saturation and the sustainable rate, each with its method."""
    burst = "rate of a burst from the 10 % to the 90 % completion"
    yield SiteNumber(SATURATION, known.saturation_hz, "", 1, burst)
    n = len(known.results)
    rate, failed = known.sustained_hz, known.failed_hz
    probes = f"{n} probes at {len(known.rates)} rates"
    if rate is None:
        method = f"none of {probes} was sustained, the lowest at {min(known.rates):g} /s"
    elif failed is None:
        method = f"highest rate that was probed; {probes}; no interval"
    elif known.bound:
        method = f"the generator did not reach {failed:g} /s; {probes}; no interval"
    else:
        method = f"sustained here, not at {failed:g} /s; {probes}; the interval is that bracket"
    # An upper end that only the generator missed does not bound the backend.
    is_bracket = rate is not None and not known.bound
    ends = (rate, failed) if is_bracket else (None, None)
    yield SiteNumber(SUSTAINABLE, rate, known.bound if rate else "", n, method, *ends)


def _at_slo(waits: pd.DataFrame, metric: str, slo_s: float) -> SiteNumber:
    """Find the largest rate whose median trial is within the limit, below the first that is not."""
    within: dict[float, bool | None] = {
        float(str(rate)): _is_within(rows, slo_s) for rate, rows in waits.groupby("rate_hz")
    }
    n = waits["trial_id"].nunique()
    # A rate above the first that breaks the limit may be within it by chance: it is not claimed.
    broken = min((rate for rate, is_within in within.items() if is_within is False), default=None)
    best = max(
        (
            rate
            for rate, is_within in within.items()
            if is_within and rate < (broken or float("inf"))
        ),
        default=None,
    )
    if best is None:
        reason = f"exceeded at {broken:g} /s" if broken else "no trial has enough tasks for p99"
        return SiteNumber(metric, None, "", n, f"p99 within {slo_s:g} s at no rate: {reason}")
    bound = "" if broken else ">"
    method = f"p99 within {slo_s:g} s, exceeded at " + (
        f"{broken:g} /s" if broken else "no sustained rate"
    )
    unknown = [f"{rate:g}" for rate, known in within.items() if known is None and rate > best]
    method += f"; unknown at {', '.join(unknown)} /s" if unknown else ""
    return SiteNumber(metric, best, bound, n, f"{method}; no interval")


def _is_within(rows: pd.DataFrame, slo_s: float) -> bool | None:
    """Return whether p99 is within a limit (not if a lower percentile is above); None: unknown."""
    # A lower percentile needs fewer tasks (METHOD M11), and p99 is at least as large: where that
    # one is above the limit, a trial with too few tasks for p99 is decided as well.
    for percentile in PERCENTILES:
        values = rows[rows["metric"] == percentile]
        if values.empty:
            continue
        if float(values["value"].astype("float64").median()) > slo_s:
            return False
        # A lower bound within the limit leaves open whether the true value is.
        if percentile == PERCENTILES[0] and not (values["bound"] == ">").any():
            return True
    return None
