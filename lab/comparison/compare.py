"""Compares two sides and gives each metric a verdict; pure functions (METHOD M12, M31).

All metrics of one comparison are one family: Holm's method bounds the probability of any false
alarm in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
import scipy

from lab.analysis.metrics.registry import METRICS
from lab.analysis.statistics import (
    EQUIVALENCE,
    INTERVAL_FLOOR,
    LEVEL,
    RefusedError,
    holm,
    paired_p_value,
    paired_ratio,
)
from lab.comparison.headlines import HEADLINES
from lab.comparison.inputs import Side
from lab.comparison.left_out import left_out, next_step
from lab.core.cell import CELL
from lab.core.model import Estimate

ALPHA = 0.05


class Change(StrEnum):
    """The verdict on a metric of side B relative to side A."""

    WORSE = "worse"
    BETTER = "better"
    TIE = "tie"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Noise:
    """The smallest relative effect that this machine can show, from `lab.comparison.aa`.

    Attributes:
        paired: For metrics compared block by block; 0.02 means a ratio between 1/1.02 and 1.02.
        apart: For all other metrics.
    """

    paired: float
    apart: float


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One metric of one cell on both sides.

    Attributes:
        label: The label of side B.
        cell: The cell's columns.
        metric: The metric's name.
        unit: Unit of `a` and `b`.
        a: Geometric mean over the trials of A.
        b: Geometric mean over the trials of B.
        n_a: Number of trials of A.
        n_b: Number of trials of B.
        ratio: b / a with its interval.
        is_paired: The ratio was computed block by block.
        p: p-value, adjusted for the family.
        change: The verdict.
    """

    label: str
    cell: dict[str, Any]
    metric: str
    unit: str
    a: float
    b: float
    n_a: int
    n_b: int
    ratio: Estimate
    is_paired: bool
    p: float
    change: Change

    @property
    def size(self) -> float:
        """Distance of the ratio from 1: the absolute value of its logarithm."""
        return abs(math.log(self.ratio.value))


def compare(
    a: Side,
    b: Side,
    metrics: Sequence[str] = HEADLINES,
    noise: Noise | None = None,
    *,
    by: str = "label",
) -> list[MetricChange]:
    """Compare every metric that both sides have, the largest change first.

    Args:
        a: The baseline side.
        b: The side that is judged.
        by: The column of a cell in which the sides may differ, if each has one value of it.
        metrics: Names of `lab.analysis.metrics.registry.METRICS`.
        noise: The equivalence margin, from an A/A test on this machine. None: 5 % to either side
            (METHOD M12).

    Raises:
        RefusedError: The sides have no usable metric in common.
    """
    return compare_pairs([(a, b)], metrics, noise, by=by)[0]


def compare_pairs(
    pairs: Sequence[tuple[Side, Side]],
    metrics: Sequence[str] = HEADLINES,
    noise: Noise | None = None,
    *,
    by: str = "label",
) -> list[list[MetricChange]]:
    """Compare the sides of each pair like `compare`; all metrics of all pairs are one family.

    Raises:
        RefusedError: The sides of a pair have no usable metric in common.
    """
    compared = [_compared(a, b, metrics, by) for a, b in pairs]
    # All p-values at once: each alone would raise a false alarm in one of twenty comparisons.
    adjusted = iter(holm([number.p for numbers in compared for number in numbers]))
    judged = [
        [replace(n, p=(p := next(adjusted)), change=_judge(n, p, noise)) for n in numbers]
        for numbers in compared
    ]
    return [sorted(numbers, key=lambda number: -number.size) for numbers in judged]


def _compared(a: Side, b: Side, metrics: Sequence[str], by: str) -> list[MetricChange]:
    """Compare the metrics of two sides, without verdicts."""
    has_one = len(set(a.numbers[by])) == len(set(b.numbers[by])) == 1
    # Two backends differ in their labels, which must not keep their cells apart.
    keys = [name for name in CELL if not (has_one and name == by)]
    compared = list(_numbers(a.numbers, b.numbers, keys, metrics))
    if not compared:
        raise RefusedError(_nothing_in_common(a, b))
    return compared


def _nothing_in_common(a: Side, b: Side) -> str:
    text = f"{a.name} and {b.name} have no usable metric in common"
    # Both sides may be the same run.
    causes = dict.fromkeys(
        f"of {side.name}, {why}" for side in (a, b) if (why := left_out(side.states))
    )
    # A side with numbers was measured, and they belong to other cells than those of its partner.
    empty = [side for side in (a, b) if side.numbers.empty]
    steps = [step for side in empty if (step := next_step(side.states, side.again))]
    other = f"Repeat the plan of one side for the other: {a.again}"
    return f"{text}{': ' * bool(causes)}{'; '.join(causes)}. {[*steps, other][0]}"


def _numbers(
    a: pd.DataFrame, b: pd.DataFrame, keys: list[str], metrics: Sequence[str]
) -> Iterator[MetricChange]:
    groups = ["metric", *keys]
    # Nulls are not equal to each other, so keys are compared as text.
    of_a = {str(key): rows for key, rows in a[a.metric.isin(metrics)].groupby(groups, dropna=False)}
    for key, rows in b[b.metric.isin(metrics)].groupby(groups, dropna=False):
        other = of_a.get(str(key))
        # Ratios use logarithms, which a value of zero or less does not have (METHOD M9).
        if other is None or not ((rows.value > 0).all() and (other.value > 0).all()):
            continue
        ratio, p, is_paired = _ratio(other, rows)
        yield MetricChange(
            label=str(rows.label.iloc[0]),
            cell=dict(zip(keys, key[1:], strict=True)),
            metric=str(key[0]),
            unit=str(rows.unit.iloc[0]),
            a=_mean(other),
            b=_mean(rows),
            n_a=len(other),
            n_b=len(rows),
            ratio=ratio,
            is_paired=is_paired,
            p=p,
            # The verdict needs the p-values of the whole family: `compare` sets it.
            change=Change.INCONCLUSIVE,
        )


def _mean(rows: pd.DataFrame) -> float:
    return float(np.exp(np.log(rows.value.astype("float64")).mean()))


def _ratio(a: pd.DataFrame, b: pd.DataFrame) -> tuple[Estimate, float, bool]:
    """Return b / a with its interval, its p-value, and whether it was computed block by block."""
    pairs = _pairs(a, b)
    # Each trial of the smaller side needs a partner: pairs must not drop values (METHOD M12).
    if len(pairs) >= min(len(a), len(b)) > 1:
        under, over = zip(*pairs, strict=True)
        return paired_ratio(over, under), paired_p_value(over, under), True
    return (*unpaired_ratio(a.value.astype(float).tolist(), b.value.astype(float).tolist()), False)


def _pairs(a: pd.DataFrame, b: pd.DataFrame) -> list[tuple[float, float]]:
    """Match the trials of two cells by block: of one run, or of two interleaved runs.

    Runs that were measured one after the other have no pairs, because drift separates the sides.
    """
    of_a, of_b = _by_plan(a), _by_plan(b)
    # Several runs of a commit have trials with the same block and plan: no pair of them is clear.
    is_clear = (len(of_a), len(of_b)) == (len(a), len(b))
    if is_clear and (len({*a.run, *b.run}) == 1 or _interleaved(pd.concat([a, b]))):
        return [(of_a[plan], of_b[plan]) for plan in of_a if plan in of_b]
    return []


def _by_plan(rows: pd.DataFrame) -> dict[tuple[int, str], float]:
    # The plan's hash is equal only for the same tasks at the same instants (METHOD M4).
    plans = zip(rows.block, rows.plan_hash, strict=True)
    return dict(zip(plans, map(float, rows.value), strict=True))


def _interleaved(both: pd.DataFrame) -> bool:
    """Return True if every block began on both sides before the next began on either."""
    begins = both.groupby("block").started_utc.agg(["min", "max"])
    is_known = bool((both.started_utc != "").all())
    return is_known and bool((begins["max"].to_numpy()[:-1] <= begins["min"].to_numpy()[1:]).all())


def unpaired_ratio(
    a: Sequence[float], b: Sequence[float], level: float = LEVEL
) -> tuple[Estimate, float]:
    """Estimate b / a of independent trials by Welch's t interval on logarithms, with its p-value.

    With fewer than `INTERVAL_FLOOR` trials on a side there is no interval, and p is 1.
    """
    x, y = np.log(np.asarray(a)), np.log(np.asarray(b))
    difference = float(y.mean() - x.mean())
    name = f"ratio of geometric means; {x.size} and {y.size} trials"
    n = min(x.size, y.size)
    if n < INTERVAL_FLOOR:
        method = f"{name}: no interval (needs {INTERVAL_FLOOR} each)"
        # With p = 1 the number raises no alarm, but it remains a member of Holm's family.
        return Estimate(math.exp(difference), None, None, level, n, method), 1.0
    of_x, of_y = x.var(ddof=1) / x.size, y.var(ddof=1) / y.size
    error = math.sqrt(of_x + of_y)
    method = f"{name}; Welch's t interval on logarithms"
    if not error:  # without any spread, every difference is significant
        value = math.exp(difference)
        return Estimate(value, value, value, level, n, method), float(difference == 0)
    freedom = error**4 / (of_x**2 / (x.size - 1) + of_y**2 / (y.size - 1))
    half = float(scipy.stats.t.ppf((1 + level) / 2, freedom)) * error
    ends = math.exp(difference - half), math.exp(difference + half)
    p = 2 * float(scipy.stats.t.sf(abs(difference) / error, freedom))
    return Estimate(math.exp(difference), *ends, level, n, method), p


def _judge(number: MetricChange, p: float, noise: Noise | None) -> Change:
    ratio = number.ratio
    if ratio.low is None or ratio.high is None:
        return Change.INCONCLUSIVE
    margin = (noise.paired if number.is_paired else noise.apart) if noise else 0.0
    # Without a measured noise only a tie has a margin; a difference must exclude 1 (METHOD M12).
    tie = (1 / (1 + margin), 1 + margin) if noise else EQUIVALENCE
    # A tie comes first: with many blocks an interval within the margin may still exclude 1.
    if tie[0] <= ratio.low and ratio.high <= tie[1]:
        return Change.TIE
    if p >= ALPHA or number.size <= math.log1p(margin):
        return Change.INCONCLUSIVE
    increased = ratio.value > 1
    return (
        Change.WORSE if increased == (METRICS[number.metric].better == "lower") else Change.BETTER
    )
