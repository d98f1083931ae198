"""Reads the tables for the answers: estimates with place and row, and paired ratios."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from lab.analysis.labels import each, identify
from lab.analysis.per_table import per_table
from lab.analysis.queries import (
    THROUGHPUT,
    estimates,
    topology_names,
    trial_values,
    workload_names,
)
from lab.analysis.statistics import RefusedError, paired_ratio, too_few
from lab.core.cell import CELL, CONDITIONS, TOPOLOGY
from lab.core.model import Estimate, Paced
from lab.figures import Tables
from lab.report.limits import LEAST, limit_of, most_per_s
from lab.report.number_format import REFUSED, digits

# Numbers and not their texts, because as text 10 ms sorts before 2 ms.
PLACE = ["nominal_ns", "workload", "size", "arrival", "rate_hz", "arrival_param"]
PLACE += [*TOPOLOGY, *CONDITIONS]

# What `times` says of a ratio without an interval.
LACK = re.compile(r" \(no interval: [^)]*\)")


def cells(tables: Tables, metric: str, analysis: str = "") -> pd.DataFrame:
    """Return the estimates of a metric, each with its place as text and its row.

    `analysis` is that of `lab.analysis.queries.estimates`.

    Returns:
        The columns of `estimate`, and row, name, family, workload_name, topology, place.
    """
    rows = estimates(tables, metric, analysis)
    rows = rows.assign(row=[f"estimate.csv row {number + 1}" for number in rows.index])
    # The larger of two bursts at one place is first: that of the summary.
    rows = rows.sort_values("n_planned", ascending=False, kind="stable")
    return placed(rows.merge(_cell_facts(tables["trial"]), on=CELL))


@per_table
def _cell_facts(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the facts of each cell that its estimates lack; its name has unit and duration."""
    facts = trials[[*CELL, "size_unit", "nominal_ns", "workers", "runs_tasks"]]
    return facts.drop_duplicates(CELL).merge(identify(trials), on="label")


def values(tables: Tables, metric: str) -> pd.DataFrame:
    """Return the usable trials that have the metric, each with its place as text."""
    return placed(trial_values(tables, metric).merge(names_of(tables), on="label"))


def names_of(tables: Tables) -> pd.DataFrame:
    """Return each label with its short name."""
    return identify(tables["trial"])[["label", "name"]]


def placed(rows: pd.DataFrame) -> pd.DataFrame:
    """Add workload_name, topology and place, and sort by place."""
    rows = rows.sort_values(PLACE, kind="stable")
    if rows.empty:
        # Callers group by these columns, also where no trial has the metric.
        return rows.assign(workload_name="", topology="", place="")
    # A burst has no rate, and a null cannot be formatted as a number.
    rates = rows["rate_hz"].map(" at {:g}/s".format, na_action="ignore").astype("str").fillna("")
    rows = rows.assign(workload_name=workload_names(rows), topology=topology_names(rows))
    return rows.assign(place=rows["workload_name"] + rates + ", " + rows["topology"])


def main_place(rows: pd.DataFrame) -> str:
    """Return the place where most labels were measured; of equal ones, that of the smallest work.

    For bursts, it has the smallest topology; for paced tasks the largest, because a smaller one
    may be full at their rate, so that its waits are those of a backlog.

    Args:
        rows: At least one row of `cells` or `values`, of one arrival.
    """
    counts = rows.groupby("place", sort=False)["label"].nunique()
    chosen = rows[rows["place"].isin(counts[counts == counts.max()].index)]
    if chosen["arrival"].iloc[0] == Paced.kind:
        work = ["workload", "size", "rate_hz"]
        return str(chosen[(chosen[work] == chosen[work].iloc[0]).all(axis=1)]["place"].iloc[-1])
    return str(chosen["place"].iloc[0])


def by(rows: pd.DataFrame, column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each value of a column with its rows, in the order of first appearance."""
    for value, group in rows.groupby(column, sort=False):
        yield str(value), group


def by_work(trials: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each workload in each environment, with its trials, in the order of appearance."""
    for (workload, environment), group in trials.groupby(
        ["workload_name", "environment"], sort=False
    ):
        yield (
            f"{workload}, environment {environment}" if environment != "" else str(workload),
            group,
        )


def ratio(a: pd.DataFrame, b: pd.DataFrame) -> Estimate | None:
    """Estimate a / b of two sets of trials over the blocks that have both (METHOD M12).

    None if no block has both, or a value is not positive.
    """
    both = a.merge(b, on="block")
    try:
        return paired_ratio(both["value_x"].tolist(), both["value_y"].tolist())
    except RefusedError:
        return None


def estimate_text(row: Any, write: Callable[[float], str]) -> str:
    """Format an estimate with its label's name, its bound and its interval."""
    low, high = (None if pd.isna(end) else float(end) for end in (row.ci_low, row.ci_high))
    # Sentences have the limits of the tables: neither shows an impossible number as measured.
    is_rate = row.metric == THROUGHPUT and row.runs_tasks
    most = most_per_s(row.workers, row.nominal_ns) if is_rate else None
    limit = limit_of(float(row.estimate), low, high, least=LEAST.get(row.metric), most=most)
    if limit is not None and limit.is_refused:
        return f"{row.name} {REFUSED} ({write(float(row.estimate))}: {limit.reason})"
    value = f"{row.bound}{write(float(row.estimate))}"
    text = f"{row.name} {value if limit is None else f'not distinguishable from {limit.value:g}'}"
    return text if low is None or high is None else f"{text} ({write(low)} to {write(high)})"


def times(ratio: Estimate, most: float | None = None) -> str:
    """Format a ratio with its interval, or with its number of blocks if it has none.

    Args:
        ratio: The ratio.
        most: The largest possible ratio; None: there is none.
    """
    limit = limit_of(ratio.value, ratio.low, ratio.high, most=most)
    text = f"{digits(ratio.value)} times"
    if limit is not None and limit.is_refused:
        text = f"{text}, which is {REFUSED}, because {limit.reason},"
    elif limit is not None:
        text = f"not distinguishable from {limit.value:g} times"
    if ratio.low is None or ratio.high is None:
        # Otherwise, a large factor without an interval would look decided.
        return f"{text} (no interval: {too_few(ratio.n)})"
    return f"{text} ({digits(ratio.low)} to {digits(ratio.high)})"


def said_once(words: str, parts: Sequence[str]) -> tuple[str, list[str]]:
    """Move what intervals lack from the parts of a sentence to its words, if every part lacks one.

    Of unequal numbers of blocks, the largest is said.
    """
    lacks = [LACK.findall(part) for part in parts]
    if not all(lacks):
        return words, [*parts]
    return f"{words}{max(lacks)[0]}", [LACK.sub("", part) for part in parts]


def trial_rows(trials: pd.DataFrame) -> list[str]:
    """Return the ids of trials without repetition, as `lab reproduce` accepts them."""
    return list(dict.fromkeys(str(trial.trial_id) for trial in each(trials)))
