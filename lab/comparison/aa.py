"""Measures the noise of a machine by comparing one run with itself (A/A test, METHOD M12).

The blocks are divided in two ways, one for each kind of comparison. Paired: adjacent blocks are the
two sides of a pair, as in two interleaved runs, so that slow drift affects both sides equally.
Unpaired: a random half of the blocks is one side, as in two runs measured one after the other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd

from lab.analysis.statistics import INTERVAL_FLOOR, RefusedError
from lab.analysis.sweeps.grouping import noun_of
from lab.comparison.compare import Change, compare
from lab.comparison.headlines import HEADLINES
from lab.comparison.inputs import Side
from lab.console import counted
from lab.core.cell import CELL
from lab.planning.commands import with_function

SPLITS = 20
# Each half needs an interval (METHOD M2).
BLOCKS = 2 * INTERVAL_FLOOR
BLOCK = ["run", "block"]
Halves: TypeAlias = tuple[Side, Side]


@dataclass(frozen=True, slots=True)
class AATest:
    """The result of an A/A test.

    Attributes:
        comparisons: Number of compared metrics, over all splits.
        false_alarms: How many of them were judged worse or better.
        splits: Number of random divisions of the blocks.
        families: Number of splits with at least one false alarm.
        smallest_effect: 0.95 quantile of the ratio between equal halves, minus 1.
    """

    comparisons: int
    false_alarms: int
    splits: int
    families: int
    smallest_effect: float


def run_aa_test(run: Side, *, is_paired: bool, seed: int = 1) -> AATest:
    """Split a run's blocks into random halves `SPLITS` times, and compare the halves.

    Raises:
        RefusedError: The run has too few blocks for two halves with an interval each, or no metric
            with trials in both halves.
    """
    blocks = run.numbers[BLOCK].drop_duplicates().sort_values(BLOCK, ignore_index=True)
    if len(blocks) < BLOCKS:
        raise RefusedError(
            f"{run.name} has {len(blocks)} {noun_of('blocks', len(blocks))}; an A/A test needs "
            f"{BLOCKS}: {with_function(f'lab bench --blocks {BLOCKS}', run.numbers['workload'])}"
        )
    halves = (_pairs if is_paired else _halves)(run, blocks, random.Random(seed))
    families = [
        # Paired and unpaired numbers differ in their noise, so each kind has a test of its own.
        [number for number in compare(a, b, HEADLINES) if number.is_paired == is_paired]
        for a, b in counted(f"{run.name} against itself", halves, SPLITS)
    ]
    sizes = [number.size for family in families for number in family]
    if not sizes:
        raise RefusedError(f"{run.name} has no metric with trials in both halves.")
    # A family counts once, because Holm's rule bounds any false alarm in it, not each (METHOD M12).
    alarms = [[n.change in {Change.WORSE, Change.BETTER} for n in family] for family in families]
    return AATest(
        comparisons=len(sizes),
        false_alarms=sum(map(sum, alarms)),
        splits=len(families),
        families=sum(map(any, alarms)),
        smallest_effect=float(np.expm1(np.quantile(sizes, 0.95, method="inverted_cdf"))),
    )


def _halves(run: Side, blocks: pd.DataFrame, rng: random.Random) -> Iterator[Halves]:
    for _ in range(SPLITS):
        chosen = blocks.index.isin(rng.sample(list(blocks.index), len(blocks) // 2))
        numbers = run.numbers.merge(blocks.assign(is_first=chosen), on=BLOCK)
        # Two run names, so that the halves are compared without pairs.
        yield _sides(run, numbers.assign(run=numbers.is_first.astype(str)))


def _pairs(run: Side, blocks: pd.DataFrame, rng: random.Random) -> Iterator[Halves]:
    position = blocks.groupby("run").cumcount()
    paired = blocks.assign(
        pair=blocks.groupby(["run", position // 2]).ngroup(), is_odd=position % 2 == 1
    )
    numbers = run.numbers.merge(paired, on=BLOCK)
    # A trial without a partner would make its whole cell unpaired.
    both = numbers.groupby(["metric", *CELL, "pair"], dropna=False).block.transform("size")
    # One run and one plan per pair, so that the two trials are compared as a pair.
    numbers = numbers[both == 2].assign(run="", plan_hash="", block=lambda rows: rows.pair)  # noqa: PLR2004
    for _ in range(SPLITS):
        # A side that always had the earlier block of a pair would contain all drift of the machine.
        swapped = [pair for pair in sorted(set(numbers.pair)) if rng.randrange(2)]
        yield _sides(run, numbers.assign(is_first=numbers.is_odd ^ numbers.pair.isin(swapped)))


def _sides(run: Side, numbers: pd.DataFrame) -> Halves:
    first, second = numbers[numbers.is_first], numbers[~numbers.is_first]
    return replace(run, numbers=first), replace(run, numbers=second)
