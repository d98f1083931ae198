"""What a machine shows where nothing differs: one run against itself (METHOD M12, A/A).

Its blocks are halved in two ways, as two sides can lie to each other. Paired, a block and the next
are a pair, as the trials of two sides are that took turns: what drifts slowly is in both. Apart,
any half of the blocks is one side, as where one run followed the other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd

from lab.analysis.metrics.registry import CELL
from lab.analysis.statistics import INTERVAL_FLOOR, RefusedError
from lab.comparison.compare import HEADLINES, Change, compare
from lab.comparison.inputs import Side
from lab.console import counted

SPLITS = 20
BLOCKS = 2 * INTERVAL_FLOOR
BLOCK = ["run", "block"]
Halves: TypeAlias = tuple[Side, Side]


@dataclass(frozen=True, slots=True)
class Null:
    """The outcome of comparing a run's blocks with each other.

    `false_alarms` of `comparisons` called two equal halves different; `families` is in how many
    splits any did, of `splits`. `smallest_effect` is the ratio beyond 1 that 95 % of all equal
    halves stay within.
    """

    comparisons: int
    false_alarms: int
    splits: int
    families: int
    smallest_effect: float


def measure(run: Side, *, is_paired: bool, seed: int = 1) -> Null:
    """Split a run's blocks into random halves again and again, and compare the halves.

    Raises:
        RefusedError: The run has too few blocks for two halves with an interval each, or nothing
            that can be compared in them.
    """
    blocks = run.numbers[BLOCK].drop_duplicates().sort_values(BLOCK, ignore_index=True)
    if len(blocks) < BLOCKS:
        raise RefusedError(
            f"{run.name} has {len(blocks)} blocks; comparing it with itself needs {BLOCKS}: "
            f"lab bench --blocks {BLOCKS}"
        )
    halves = (_pairs if is_paired else _halves)(run, blocks, random.Random(seed))
    families = [
        [number for number in compare(a, b, HEADLINES) if number.is_paired == is_paired]
        for a, b in counted(f"{run.name} against itself", halves, SPLITS)
    ]
    sizes = [number.size for family in families for number in family]
    if not sizes:
        raise RefusedError(f"{run.name} has no number with trials in both halves.")
    alarms = [[n.change in {Change.WORSE, Change.BETTER} for n in family] for family in families]
    return Null(
        comparisons=len(sizes),
        false_alarms=sum(map(sum, alarms)),
        splits=len(families),
        families=sum(map(any, alarms)),
        smallest_effect=float(np.expm1(np.quantile(sizes, 0.95, method="inverted_cdf"))),
    )


def _halves(run: Side, blocks: pd.DataFrame, order: random.Random) -> Iterator[Halves]:
    for _ in range(SPLITS):
        chosen = blocks.index.isin(order.sample(list(blocks.index), len(blocks) // 2))
        numbers = run.numbers.merge(blocks.assign(is_first=chosen), on=BLOCK)
        # Two runs to the judge: halves of one campaign share no block, so nothing pairs.
        yield _sides(run, numbers.assign(run=numbers.is_first.astype(str)))


def _pairs(run: Side, blocks: pd.DataFrame, order: random.Random) -> Iterator[Halves]:
    place = blocks.groupby("run").cumcount()
    paired = blocks.assign(pair=blocks.groupby(["run", place // 2]).ngroup(), is_odd=place % 2 == 1)
    numbers = run.numbers.merge(paired, on=BLOCK)
    both = numbers.groupby(["metric", *CELL, "pair"], dropna=False).block.transform("size")
    # To the judge a pair is one block of one run; its two trials had plans of the same kind.
    numbers = numbers[both == 2].assign(run="", plan_hash="", block=lambda own: own.pair)  # noqa: PLR2004
    for _ in range(SPLITS):
        swapped = [pair for pair in sorted(set(numbers.pair)) if order.randrange(2)]
        yield _sides(run, numbers.assign(is_first=numbers.is_odd ^ numbers.pair.isin(swapped)))


def _sides(run: Side, numbers: pd.DataFrame) -> Halves:
    first, second = numbers[numbers.is_first], numbers[~numbers.is_first]
    return replace(run, numbers=first), replace(run, numbers=second)
