"""Where each system bends, as estimates: saturation, sustainable rate, throughput at an SLO.

METHOD M8. A row a site; like everything here it is made from the tables alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from lab.analysis.capacity import SITE, Capacity, Site
from lab.analysis.metrics.registry import last_attempts
from lab.core.model import Flag, Probe, Step
from lab.results.schema import EstimateRow

SATURATION, SUSTAINABLE = "saturation_per_s", "sustainable_per_s"
# The largest rate at which p99 of t3 - t0 keeps the limit.
SLOS_S: Mapping[str, float] = {
    "rate_at_10ms_per_s": 0.01,
    "rate_at_100ms_per_s": 0.1,
    "rate_at_1s_per_s": 1.0,
}
PERCENTILES = ("queue_latency_s_p99", "queue_latency_s_p90", "queue_latency_s_p50")


@dataclass(frozen=True, slots=True)
class Limit:
    """One number of a site: `bound` is ``">"`` where the truth may be larger."""

    metric: str
    value: float | None
    bound: str
    n: int
    method: str
    low: float | None = None
    high: float | None = None


def estimates(
    trials: pd.DataFrame, metrics: pd.DataFrame, found: Mapping[Site, Capacity], analysis_id: str
) -> list[EstimateRow]:
    """Write what was found of every site that was probed as rows of the table of estimates.

    The interval of a sustainable rate is its bracket: the rate that was held, and the lowest that
    was not.
    """
    last = last_attempts(trials)
    steps = last[last["arrival"].isin([Probe.kind, Step.kind])]
    told = metrics[metrics["metric"].isin(PERCENTILES) & (metrics["is_valid"] == 1)]
    rows = []
    for site, own in steps.groupby(SITE, sort=False):
        of_ladder = own[own["arrival"] == Step.kind]
        waits = told.merge(of_ladder[["trial_id", "attempt", "rate_hz"]])
        # Beyond the sustainable rate a wait tells how long the window was.
        waits = waits[waits["rate_hz"] <= (found[site].sustained_hz or 0)]
        limits = [*_rates(found[site]), *(_at_slo(waits, *slo) for slo in SLOS_S.items())]
        noisy = int((own["flag"] == Flag.NOISY).sum())
        where = dict(zip(SITE, site, strict=True))
        rows += [_row(where, limit, analysis_id, noisy) for limit in limits]
    return rows


def _row(site: Mapping[str, object], limit: Limit, analysis_id: str, n_noisy: int) -> EstimateRow:
    return EstimateRow(
        analysis_id=analysis_id,
        metric=limit.metric,
        arrival=Probe.kind if limit.metric in {SATURATION, SUSTAINABLE} else Step.kind,
        rate_hz=None,
        gaps="",
        schedule="",
        shape=None,
        n_planned=0,
        estimate=limit.value,
        bound=limit.bound,
        ci_low=limit.low,
        ci_high=limit.high,
        ci_level=0.95,
        unit="1/s",
        n_trials=limit.n,
        n_noisy=n_noisy,
        n_excluded=0,
        method=limit.method,
        **site,  # type: ignore[arg-type]
    )


def _rates(known: Capacity) -> Iterator[Limit]:
    """Tell the rate of saturation and the sustainable one, with how they were found."""
    burst = "rate of a burst from the 10 % to the 90 % completion"
    yield Limit(SATURATION, known.saturation_hz, "", 1, burst)
    n, rate, failed = len(known.answers), known.sustained_hz, known.failed_hz
    asked = f"{n} probes at {len(known.rates)} rates"
    if rate is None:
        method = f"none of {asked} was held, the lowest at {min(known.rates):g} /s"
    elif failed is None:
        method = f"highest rate that was asked; {asked}; no interval"
    elif known.bound:
        method = f"the generator could not make {failed:g} /s; {asked}; no interval"
    else:
        method = f"held here, not held at {failed:g} /s; {asked}; the interval is that bracket"
    is_bracket = rate is not None and not known.bound
    ends = (rate, failed) if is_bracket else (None, None)
    yield Limit(SUSTAINABLE, rate, known.bound if rate else "", n, method, *ends)


def _at_slo(waits: pd.DataFrame, metric: str, slo_s: float) -> Limit:
    """Find the largest rate whose median trial kept the limit, below the first that broke it."""
    kept: dict[float, bool | None] = {
        float(str(rate)): _keeps(own, slo_s) for rate, own in waits.groupby("rate_hz")
    }
    n = waits["trial_id"].nunique()
    broken = min((rate for rate, keeps in kept.items() if keeps is False), default=None)
    best = max(
        (rate for rate, keeps in kept.items() if keeps and rate < (broken or float("inf"))),
        default=None,
    )
    if best is None:
        why = f"broken at {broken:g} /s" if broken else "no trial has the tasks for its p99"
        return Limit(metric, None, "", n, f"p99 within {slo_s:g} s at no rate: {why}")
    bound = "" if broken else ">"
    method = f"p99 within {slo_s:g} s, broken " + (
        f"at {broken:g} /s" if broken else "never at a sustained rate"
    )
    unknown = [f"{rate:g}" for rate, keeps in kept.items() if keeps is None and rate > best]
    method += f"; not known at {', '.join(unknown)} /s" if unknown else ""
    return Limit(metric, best, bound, n, f"{method}; no interval")


def _keeps(own: pd.DataFrame, slo_s: float) -> bool | None:
    """Tell whether p99 keeps a limit; a lower percentile above it breaks it too."""
    for percentile in PERCENTILES:
        of = own[own["metric"] == percentile]
        if of.empty:
            continue
        middle = float(of["value"].astype("float64").median())
        if middle > slo_s:
            return False
        if percentile == PERCENTILES[0] and not (of["bound"] == ">").any():
            return True
    return None
