"""Compares the backends for a function of the user: a table and a ranking by throughput."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from lab.analysis.attempts import last_attempts
from lab.analysis.cells import cell_key
from lab.analysis.labels import REFERENCE, each
from lab.analysis.queries import THROUGHPUT, trial_values
from lab.analysis.statistics import INTERVAL_FLOOR, LEVEL, paired_ratio
from lab.core.model import Burst, Flag
from lab.figures import Tables
from lab.report.headlines import headline
from lab.report.number_format import NOT_MEASURED, digits, plural
from lab.report.numbers import Number
from lab.report.summary import ROLES, SummaryRow, summary
from lab.worker.user_function import is_user_function

# Without intervals, ratios within half an order of magnitude are called a tie.
CLOSE = 10**0.5
HEADINGS = (
    "label",
    "cores x nodes",
    "tasks/s",
    "overhead us/task",
    "wait p50 ms",
    "CPU ms/task",
    "lost",
    "duplicated",
    "flags",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One function of the user: a row per backend, the fastest first, and the ranking in words."""

    task: str
    rows: Sequence[Sequence[str]]
    answer: str


def choices(tables: Tables) -> list[Choice]:
    """Return the comparison of the backends for each function of the user.

    Each backend is compared on its largest topology, by throughput, with trials paired by block.
    Backends whose ratio has an interval that contains 1 are a tie (METHOD M12).

    Args:
        tables: At least `trial`, `metric` and `estimate`.
    """
    trials = tables["trial"]
    user_trials = trials[trials["workload"].map(is_user_function).astype(bool)]
    results = []
    for task in user_trials["workload"].unique():
        of_task = user_trials[user_trials["workload"] == task]
        widest = of_task[of_task["workers"] == of_task.groupby("label")["workers"].transform("max")]
        # Only the tables that are used: the others may be large or missing.
        narrowed = {"trial": widest} | {name: tables[name] for name in ("metric", "estimate")}
        rows = summary(narrowed)
        cpu = _cpu_ms(narrowed)
        texts = [_texts(row, cpu.get(row.label, _without_cpu(row))) for row in rows]
        ranking = _answer(narrowed, {row.label: row.name for row in rows})
        results.append(Choice(task, texts, ranking))
    return results


def _texts(row: SummaryRow, cpu: Number) -> list[str]:
    numbers = [row.numbers[name] for name in ("throughput", "overhead", "p50")]
    texts = [f"{n.text} ({n.interval})" if n.interval else n.text for n in [*numbers, cpu]]
    return [row.name, row.cores_x_nodes, *texts, row.lost.text, row.duplicated.text, row.flags]


def _without_cpu(row: SummaryRow) -> Number:
    """Return why a row has no CPU time: as its throughput, or because nothing measured it."""
    rate = row.numbers["throughput"]
    if rate.value is not None:
        return Number(NOT_MEASURED)
    # The rate of disturbed trials is in brackets: it was measured, and so was the CPU time.
    return Number(Flag.DISTURBED if rate.text.startswith("(") else rate.text)


def _cpu_ms(tables: Tables) -> dict[str, Number]:
    """Return the CPU time per task of each label, summed over the roles that were measured."""
    # The estimates are of the whole campaign, the trials only of one function.
    cells = set(map(cell_key, each(tables["trial"])))
    wanted = {f"cpu_{role}_s_per_task" for role in ROLES}
    sums: dict[str, float] = {}
    for (metric, *key), estimate in headline(tables["estimate"]).items():
        is_burst = estimate.arrival == Burst.kind and tuple(key) in cells
        if metric in wanted and is_burst and pd.notna(estimate.estimate):
            sums[estimate.label] = sums.get(estimate.label, 0.0) + float(estimate.estimate)
    return {label: Number(digits(total * 1e3)) for label, total in sums.items()}


def _answer(tables: Tables, names: Mapping[str, str]) -> str:
    # A reference is the limit of the others, and no choice for a user's function (METHOD M18).
    systems = tables["trial"][tables["trial"]["family"] != REFERENCE]
    values = trial_values({**tables, "trial": systems}, THROUGHPUT)
    values = values[values["arrival"] == Burst.kind]
    by_block = values.pivot_table(index="block", columns="label", values="value")
    ranked = [str(label) for label in by_block.mean().sort_values(ascending=False).index]
    if not ranked:
        is_burst = systems["arrival"] == Burst.kind
        disturbed = systems[is_burst & (systems["flag"] == Flag.DISTURBED)]
        if len(disturbed):
            of = ", ".join(names[label] for label in dict.fromkeys(disturbed["label"]))
            count = plural(len(last_attempts(disturbed)), "trial")
            return f"Measured, but disturbed, and therefore not ranked: {count} of {of}."
        return "No trial that counts has a throughput; the flags and the trials have the reasons."
    if not ranked[1:]:
        return f"Only one system counts, so none is ranked: {names[ranked[0]]}."
    groups = tiers(by_block, ranked)
    tied = [" = ".join(names[label] for label, _ in group) for group in groups]
    behind = [""] + [f" ({digits(group[0][1])} times less)" for group in groups[1:]]
    order = "; ".join(f"{n}. {t}{b}" for n, (t, b) in enumerate(zip(tied, behind, strict=True), 1))
    return f"Most tasks per second: {order}. {_meaning(len(by_block))}"


def _meaning(n_blocks: int) -> str:
    if n_blocks < INTERVAL_FLOOR:
        return (
            f"{n_blocks} blocks are too few for an interval. Only the order of magnitude counts: a "
            f"ratio below {CLOSE:.1f} is a tie (=)."
        )
    return f"A tie (=): the {LEVEL:.0%} interval of the ratio contains 1."


def tiers(by_block: pd.DataFrame, ranked: Sequence[str]) -> list[list[tuple[str, float]]]:
    """Group labels that tie with the first of a group, each with the best label's ratio to it."""
    # Bonferroni: one ratio for each pair of neighbours shares the error probability.
    level = 1 - (1 - LEVEL) / max(1, len(ranked) - 1)
    tiers: list[list[tuple[str, float]]] = []
    for label in ranked:
        times_less = _ratio(by_block, ranked[0], label, level)[0]
        # Not with the neighbour: a chain of ties would group the best with the worst.
        if tiers and _is_tie(by_block, tiers[-1][0][0], label, level):
            tiers[-1].append((label, times_less))
        else:
            tiers.append([(label, times_less)])
    return tiers


def _is_tie(by_block: pd.DataFrame, better: str, label: str, level: float) -> bool:
    value, low = _ratio(by_block, better, label, level)
    return value < CLOSE if low is None else low <= 1


def _ratio(
    by_block: pd.DataFrame, better: str, label: str, level: float
) -> tuple[float, float | None]:
    if better == label:
        return 1.0, None
    # Only blocks that have both: what the machine did in a block then affects both (METHOD M12).
    pairs = by_block[[better, label]].dropna()
    if pairs.empty:
        # Unpaired means have no interval, so the caller uses the order of magnitude.
        return float(by_block[better].mean() / by_block[label].mean()), None
    ratio = paired_ratio(pairs[better].tolist(), pairs[label].tolist(), level)
    return ratio.value, ratio.low
