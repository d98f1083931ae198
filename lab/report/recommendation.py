"""Which one for my task? A row a system, of a function of the user's own, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from lab.analysis.labels import each
from lab.analysis.queries import THROUGHPUT, trial_values
from lab.analysis.statistics import INTERVAL_FLOOR, paired_ratio
from lab.core.model import Burst
from lab.figures import Tables
from lab.report.number_format import NOT_MEASURED, digits
from lab.report.summary import ROLES, Number, Row, headline, key_of, summary
from lab.worker.user_function import is_own

# Without intervals, what lies within half an order of magnitude is called a tie.
CLOSE = 10**0.5
LEVEL = 0.95
HEADINGS = (
    "label",
    "cores x nodes",
    "tasks/s",
    "overhead us/task",
    "waits p50 ms",
    "CPU ms/task",
    "lost",
    "duplicated",
    "flags",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One task of the user's own: a row a system, the highest throughput first, and the answer."""

    task: str
    rows: Sequence[Sequence[str]]
    answer: str


def choices(tables: Tables) -> list[Choice]:
    """Answer, for each function of the user's own, which system is the one for it.

    Each system is told of on its widest topology; the answer ranks by throughput, pair by pair of
    trials of one block, and calls a tie what the intervals do not tell apart (METHOD M12).

    Args:
        tables: At least `trial`, `metric` and `estimate`.
    """
    trials = tables["trial"]
    own = trials[trials["workload"].map(is_own).astype(bool)]
    found = []
    for task in own["workload"].unique():
        its = own[own["workload"] == task]
        widest = its[its["workers"] == its.groupby("label")["workers"].transform("max")]
        # Only what is asked for: a run's other tables may be large, or not be there.
        narrowed = {"trial": widest} | {name: tables[name] for name in ("metric", "estimate")}
        rows = summary(narrowed)
        cpu = _cpu_ms(narrowed)
        shown = [_shown(row, cpu.get(row.label, Number(NOT_MEASURED))) for row in rows]
        found.append(Choice(task, shown, _answer(narrowed, {row.label: row.name for row in rows})))
    return found


def _shown(row: Row, cpu: Number) -> list[str]:
    numbers = [row.numbers[name] for name in ("throughput", "overhead", "p50")]
    texts = [f"{n.text} ({n.interval})" if n.interval else n.text for n in [*numbers, cpu]]
    return [row.name, row.cores_x_nodes, *texts, row.lost.text, row.duplicated.text, row.flags]


def _cpu_ms(tables: Tables) -> dict[str, Number]:
    """Sum, by label, the CPU time a task of all roles, where driver and workers could be told."""
    cells = set(map(key_of, each(tables["trial"])))
    wanted = {f"cpu_{role}_s_per_task" for role in ROLES}
    sums: dict[str, float] = {}
    for (metric, *key), estimate in headline(tables["estimate"]).items():
        is_burst = estimate.arrival == Burst.kind and tuple(key) in cells
        if metric in wanted and is_burst and pd.notna(estimate.estimate):
            sums[estimate.label] = sums.get(estimate.label, 0.0) + float(estimate.estimate)
    return {label: Number(digits(total * 1e3)) for label, total in sums.items()}


def _answer(tables: Tables, names: Mapping[str, str]) -> str:
    executing = tables["trial"][tables["trial"]["executes"] == 1]
    values = trial_values({**tables, "trial": executing}, THROUGHPUT)
    values = values[values["arrival"] == Burst.kind]
    by_block = values.pivot_table(index="block", columns="label", values="value")
    ranked = [str(label) for label in by_block.mean().sort_values(ascending=False).index]
    if not ranked:
        return "No system gave a throughput for it: the reasons stand with the trials."
    found = tiers(by_block, ranked)
    words = [" = ".join(names[label] for label, _ in tier) for tier in found]
    behind = [""] + [f" ({digits(tier[0][1])} times less)" for tier in found[1:]]
    order = "; ".join(f"{n}. {w}{b}" for n, (w, b) in enumerate(zip(words, behind, strict=True), 1))
    return f"Most tasks per second: {order}. {_meaning(len(by_block), len(ranked))}"


def _meaning(n_blocks: int, n_ranked: int) -> str:
    if n_ranked == 1:
        return "No other has a number that counts: the flags stand beside it."
    if n_blocks < INTERVAL_FLOOR:
        return (
            f"{n_blocks} blocks carry no interval, so this is the order of magnitude: what lies "
            f"within {CLOSE:.1f} times is called a tie (=)."
        )
    return f"A tie (=) is what the {LEVEL:.0%} intervals of the ratios do not tell apart."


def tiers(by_block: pd.DataFrame, ranked: Sequence[str]) -> list[list[tuple[str, float]]]:
    """Put labels that tie with the first of a tier into it; each with how far behind the best."""
    # As many ratios as there are steps between neighbours: the level is shared among them.
    level = 1 - (1 - LEVEL) / max(1, len(ranked) - 1)
    tiers: list[list[tuple[str, float]]] = []
    for label in ranked:
        far = _ratio(by_block, ranked[0], label, level)[0]
        if tiers and _is_tie(by_block, tiers[-1][0][0], label, level):
            tiers[-1].append((label, far))
        else:
            tiers.append([(label, far)])
    return tiers


def _is_tie(by_block: pd.DataFrame, better: str, label: str, level: float) -> bool:
    value, low = _ratio(by_block, better, label, level)
    return value < CLOSE if low is None else low <= 1


def _ratio(
    by_block: pd.DataFrame, better: str, label: str, level: float
) -> tuple[float, float | None]:
    if better == label:
        return 1.0, None
    pairs = by_block[[better, label]].dropna()
    if pairs.empty:
        return float(by_block[better].mean() / by_block[label].mean()), None
    ratio = paired_ratio(pairs[better].tolist(), pairs[label].tolist(), level)
    return ratio.value, ratio.low
