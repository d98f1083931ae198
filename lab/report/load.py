"""Where does each system bend? What it sustains, and its wait at equal shares and rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lab.analysis.capacity_estimates import SATURATION, SLOS_S, SUSTAINABLE
from lab.analysis.labels import each, identify
from lab.analysis.queries import TOPOLOGY, topology_names, workload_names
from lab.core.model import Status, Step
from lab.figures import Tables
from lab.figures.theme import colour_of
from lab.planning.presets import FRACTIONS
from lab.report.number_format import NOT_MEASURED, plural
from lab.report.summary import Line, Number, shown

PERCENTILES = tuple(f"queue_latency_s_p{q}" for q in (50, 90, 99))
TOLD = (*PERCENTILES, "rho", "overloaded")
REFUSED_MARK = "-"
COLUMNS = {
    SATURATION: "saturated /s",
    SUSTAINABLE: "sustains /s",
    **dict(zip(SLOS_S, ("p99 10 ms /s", "p99 100 ms /s", "p99 1 s /s"), strict=True)),
}
BEYOND = "beyond"


@dataclass(frozen=True, slots=True)
class Grid:
    """One table: what it shows, on which topology, and a row a label."""

    title: str
    where: str
    headings: Sequence[str]
    lines: Sequence[Line]


def grids(tables: Tables) -> list[Grid]:
    """Make the tables of every topology on which a load ladder was run.

    Args:
        tables: At least `trial` and `estimate`.
    """
    estimates = tables["estimate"]
    chosen = estimates[
        ~estimates["analysis_id"].str.endswith("without-noisy")
        & estimates["metric"].isin([*COLUMNS, *TOLD])
    ]
    sites = set(chosen.loc[chosen["metric"] == SUSTAINABLE, "label"])
    trials = tables["trial"][tables["trial"]["label"].isin(sites)]
    if trials.empty:
        return []
    places = trials.assign(where=workload_names(trials) + ", " + topology_names(trials))
    keys = ["workload", "size", *TOPOLOGY, "quota_cpus", "provider"]
    places = places.drop_duplicates([*keys, "label"])[[*keys, "label", "where"]]
    named = chosen.merge(places, on=[*keys, "label"])
    named = named.merge(identify(tables["trial"])[["label", "name", "family"]], on="label")
    return [grid for _, own in named.groupby(keys) for grid in _of_topology(own, trials)]


def _of_topology(own: pd.DataFrame, trials: pd.DataFrame) -> Iterator[Grid]:
    where = own["where"].iloc[0]
    limits = own[own["metric"].isin(list(COLUMNS))]
    if not (limits["metric"] == SUSTAINABLE).any():
        return
    lines = [_limits(label, rows) for label, rows in limits.groupby("label")]
    yield Grid("What it sustains", where, [*COLUMNS.values(), "probes"], _ranked(lines, 1))
    steps = own[own["arrival"] == Step.kind]
    steps = steps[steps["metric"].isin(TOLD)]
    # Null where every trial of a step was disturbed.
    rho = each(steps[(steps["metric"] == "rho") & steps["estimate"].notna()])
    shares = {(row.label, row.rate_hz): round(float(row.estimate), 2) for row in rho}
    fractions = [share for share in FRACTIONS if share in shares.values()]
    by_share = {(label, shares[label, rate]): rate for label, rate in shares}
    order = _ranked(lines, 1)
    if fractions:
        yield Grid(
            "Wait in ms at equal shares, p50 / p90 / p99",
            where,
            [f"{share:g}" for share in fractions],
            [_waits(steps, of, [by_share.get((of.label, s)) for s in fractions]) for of in order],
        )
    if rates := _equal_rates(steps, trials):
        yield Grid(
            "Wait in ms at equal rates, p50 / p90 / p99",
            where,
            [f"{rate:g} /s" for rate in rates],
            [_waits(steps, of, rates, _skipped(trials, of.label)) for of in order],
        )


def _ranked(lines: Sequence[Line], place: int) -> list[Line]:
    return sorted(lines, key=lambda line: -(line.numbers[place].value or 0.0))


def _limits(label: Any, rows: pd.DataFrame) -> Line:
    found = {row.metric: row for row in each(rows)}
    numbers = [
        shown(found[metric], 1) if metric in found else Number(NOT_MEASURED) for metric in COLUMNS
    ]
    first = next(iter(found.values()))
    probes = found[SUSTAINABLE].n_trials if SUSTAINABLE in found else 0
    return Line(label, first.name, colour_of(first.family), [*numbers, Number(f"{probes}")])


def _equal_rates(steps: pd.DataFrame, trials: pd.DataFrame) -> list[float]:
    """Return the rates that all labels were offered, or were to be; not those that a few share."""
    asked = pd.concat([steps, trials[trials["arrival"] == Step.kind]])[["label", "rate_hz"]]
    labels = asked.drop_duplicates().groupby("rate_hz")["label"].nunique()
    is_for_all = (labels > 1) & (labels == labels.max())
    return sorted(labels[is_for_all].index.astype("float64"))


def _skipped(trials: pd.DataFrame, label: str) -> dict[float, str]:
    left_out = trials[(trials["status"] == Status.SKIPPED) & (trials["arrival"] == Step.kind)]
    left_out = left_out[left_out["label"] == label]
    return {float(row.rate_hz): row.reason for row in each(left_out)}


def _waits(
    steps: pd.DataFrame,
    of: Line,
    rates: Sequence[float | None],
    skipped: Mapping[float, str] | None = None,
) -> Line:
    own = steps[steps["label"] == of.label]
    numbers = [
        Number(BEYOND, note=skipped[rate])
        if rate is not None and skipped and rate in skipped
        else _wait(own[own["rate_hz"] == rate])
        for rate in rates
    ]
    return replace(of, numbers=numbers)


def _wait(rows: pd.DataFrame) -> Number:
    """Write the percentiles of one step, with the share of its trials that were overloaded."""
    found = {row.metric: row for row in each(rows)}
    if not any(metric in found for metric in PERCENTILES):
        return Number(NOT_MEASURED)
    told = [shown(found[metric], 1e3) for metric in PERCENTILES]
    text = " / ".join(REFUSED_MARK if one.value is None else one.text for one in told)
    notes = [
        f"{q}: {one.interval or 'no interval'}; {one.note}"
        for q, one in zip(("p50", "p90", "p99"), told, strict=True)
    ]
    load = found.get("overloaded")
    overloaded = ""
    if load is not None and pd.notna(load.estimate) and load.estimate:
        overloaded = f"overloaded in {load.estimate:.0%} of {plural(int(load.n_trials), 'trial')}"
    return Number(text, overloaded, "\n".join(notes), told[0].value)


def as_tables(
    found: Sequence[Grid],
) -> Iterator[tuple[str, Sequence[str], Sequence[Sequence[str]]]]:
    """Yield each table as a title, headings, and rows of text."""
    for grid in found:
        rows = [
            [
                line.name,
                *(
                    f"{n.text} {'(overloaded)' * bool(n.interval)}".strip()
                    if grid.title.startswith("Wait")
                    else n.text
                    for n in line.numbers
                ),
            ]
            for line in grid.lines
        ]
        yield f"{grid.title}; {grid.where}", ["label", *grid.headings], rows
