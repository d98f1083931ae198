"""Tabulates sustainable rates, and latencies at equal shares of them and at equal rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lab.analysis.attempts import USABLE, last_attempts
from lab.analysis.capacity_estimates import SATURATION, SLOS_S, SUSTAINABLE
from lab.analysis.colours import colour_of
from lab.analysis.labels import each, identify
from lab.analysis.queries import topology_names, workload_names
from lab.core.cell import SITE
from lab.core.model import COUNTED_FLAGS, Burst, LoadLevel, RateProbe, Status
from lab.figures import Tables
from lab.planning.presets import FRACTIONS
from lab.report.number_format import NOT_MEASURED, plural
from lab.report.numbers import Number, shown
from lab.report.summary import LabelRow, in_brackets

PERCENTILES = tuple(f"queue_latency_s_p{q}" for q in (50, 90, 99))
METRICS = (*PERCENTILES, "utilization_of_capacity", "overloaded")
# A cell has three percentiles: the word for a refusal would be too wide.
REFUSED_MARK = "-"
COLUMNS = {
    SATURATION: "saturation /s",
    SUSTAINABLE: "sustainable /s",
    **dict(zip(SLOS_S, ("p99 10 ms /s", "p99 100 ms /s", "p99 1 s /s"), strict=True)),
}
# The trials that each number is from.
SOURCES = {
    SATURATION: Burst.kind,
    SUSTAINABLE: RateProbe.kind,
    **dict.fromkeys(SLOS_S, LoadLevel.kind),
}
BEYOND = "beyond"


@dataclass(frozen=True, slots=True)
class Grid:
    """One table: its title, its workload and topology, and one row per label."""

    title: str
    where: str
    headings: Sequence[str]
    lines: Sequence[LabelRow]


def grids(tables: Tables) -> list[Grid]:
    """Return the tables of every topology with a load sweep.

    Args:
        tables: At least `trial` and `estimate`.
    """
    estimates = tables["estimate"]
    chosen = estimates[
        ~estimates["analysis_id"].str.contains("/") & estimates["metric"].isin([*COLUMNS, *METRICS])
    ]
    # A label without a search for its capacity has no shares of it to compare.
    sites = set(chosen.loc[chosen["metric"] == SUSTAINABLE, "label"])
    trials = tables["trial"][tables["trial"]["label"].isin(sites)]
    if trials.empty:
        return []
    places = trials.assign(where=workload_names(trials) + ", " + topology_names(trials))
    keys = [name for name in SITE if name != "label"]
    places = places.drop_duplicates([*keys, "label"])[[*keys, "label", "where"]]
    named = chosen.merge(places, on=[*keys, "label"])
    named = named.merge(identify(tables["trial"])[["label", "name", "family"]], on="label")
    named = _with_counted(named, trials)
    return [grid for _, rows in named.groupby(keys) for grid in _of_topology(rows, trials)]


def _with_counted(estimates: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Add the column `is_counted`: null if all trials that a limit is from were disturbed."""
    last = last_attempts(trials)
    counted = last[last["status"].isin(USABLE) & last["flag"].isin(COUNTED_FLAGS)]
    sources = counted.rename(columns={"arrival": "source"})[[*SITE, "source"]].drop_duplicates()
    with_source = estimates.assign(source=estimates["metric"].map(SOURCES))
    return with_source.merge(sources.assign(is_counted=True), how="left", on=[*SITE, "source"])


def _of_topology(rows: pd.DataFrame, trials: pd.DataFrame) -> Iterator[Grid]:
    where = rows["where"].iloc[0]
    limits = rows[rows["metric"].isin(list(COLUMNS))]
    if not (limits["metric"] == SUSTAINABLE).any():
        return
    lines = [_limits(label, rows) for label, rows in limits.groupby("label")]
    yield Grid("Sustainable rate", where, [*COLUMNS.values(), "probes"], _ranked(lines, 1))
    steps = rows[rows["arrival"] == LoadLevel.kind]
    steps = steps[steps["metric"].isin(METRICS)]
    # Null if every trial of a load level was disturbed.
    rho = each(steps[(steps["metric"] == "utilization_of_capacity") & steps["estimate"].notna()])
    # Rates have four digits, so the quotient is only close to the planned fraction.
    shares = {(row.label, row.rate_hz): round(float(row.estimate), 2) for row in rho}
    # Equal rates are load levels as well, but at arbitrary shares of a capacity.
    fractions = [share for share in FRACTIONS if share in shares.values()]
    by_share = {(label, shares[label, rate]): rate for label, rate in shares}
    order = _ranked(lines, 1)
    if fractions:
        yield Grid(
            "Wait in ms at equal shares of the sustainable rate, p50 / p90 / p99",
            where,
            [f"{share:g}" for share in fractions],
            [
                _waits(steps, line, [by_share.get((line.label, s)) for s in fractions])
                for line in order
            ],
        )
    if rates := _equal_rates(steps, trials):
        yield Grid(
            "Wait in ms at equal rates, p50 / p90 / p99",
            where,
            [f"{rate:g} /s" for rate in rates],
            [_waits(steps, line, rates, _skipped(trials, line.label)) for line in order],
        )


def _ranked(lines: Sequence[LabelRow], place: int) -> list[LabelRow]:
    # A label that sustained nothing is last, but has its row in every table.
    return sorted(lines, key=lambda line: -(line.numbers[place].value or 0.0))


def _limits(label: Any, rows: pd.DataFrame) -> LabelRow:
    limits = {row.metric: row for row in each(rows)}
    numbers = [
        _limit(limits[metric]) if metric in limits else Number(NOT_MEASURED) for metric in COLUMNS
    ]
    first = next(iter(limits.values()))
    probes = limits[SUSTAINABLE].n_trials if SUSTAINABLE in limits else 0
    return LabelRow(label, first.name, colour_of(first.family), [*numbers, Number(f"{probes}")])


def _limit(estimate: Any) -> Number:
    number = shown(estimate, 1)
    # A rate that was sustained in spite of a disturbance is true, but no rank (METHOD M23).
    return in_brackets(number, "no trial counts") if pd.isna(estimate.is_counted) else number


def _equal_rates(steps: pd.DataFrame, trials: pd.DataFrame) -> list[float]:
    """Return the rates that are planned for all labels; rates that only some share are left out."""
    # A level that was skipped or failed for one label is still planned: its cell has the reason.
    planned = pd.concat([steps, trials[trials["arrival"] == LoadLevel.kind]])[["label", "rate_hz"]]
    labels = planned.drop_duplicates().groupby("rate_hz")["label"].nunique()
    # Fractions of two capacities may coincide, which makes no rate for all labels.
    is_for_all = (labels > 1) & (labels == labels.max())
    return sorted(labels[is_for_all].index.astype("float64"))


def _skipped(trials: pd.DataFrame, label: str) -> dict[float, str]:
    levels = trials[(trials["label"] == label) & (trials["arrival"] == LoadLevel.kind)]
    is_skipped = levels["status"] == Status.SKIPPED
    # A rate at which trials ran, and then no more (`--precision`), has a number.
    skips = levels[is_skipped & ~levels["rate_hz"].isin(levels.loc[~is_skipped, "rate_hz"])]
    return {float(row.rate_hz): row.reason for row in each(skips)}


def _waits(
    steps: pd.DataFrame,
    line: LabelRow,
    rates: Sequence[float | None],
    skipped: Mapping[float, str] | None = None,
) -> LabelRow:
    levels = steps[steps["label"] == line.label]
    numbers = [
        Number(BEYOND, note=skipped[rate])
        if rate is not None and skipped and rate in skipped
        else _wait(levels[levels["rate_hz"] == rate])
        for rate in rates
    ]
    return replace(line, numbers=numbers)


def _wait(rows: pd.DataFrame) -> Number:
    """Return the percentiles of one load level, with the share of its overloaded trials."""
    estimates = {row.metric: row for row in each(rows)}
    if not any(metric in estimates for metric in PERCENTILES):
        return Number(NOT_MEASURED)
    waits = [shown(estimates[metric], 1e3) for metric in PERCENTILES]
    text = " / ".join(REFUSED_MARK if wait.value is None else wait.text for wait in waits)
    notes = [
        f"{q}: {wait.interval or 'no interval'}; {wait.note}"
        for q, wait in zip(("p50", "p90", "p99"), waits, strict=True)
    ]
    load = estimates.get("overloaded")
    overloaded = ""
    # Such a wait only reflects how long the trial was loaded (METHOD M8).
    if load is not None and pd.notna(load.estimate) and load.estimate:
        overloaded = f"overloaded in {load.estimate:.0%} of {plural(int(load.n_trials), 'trial')}"
    return Number(text, overloaded, "\n".join(notes), waits[0].value)


def as_tables(
    grids: Sequence[Grid],
) -> Iterator[tuple[str, Sequence[str], Sequence[Sequence[str]]]]:
    """Yield the title, the headings and the rows of each table as text."""
    for grid in grids:
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
