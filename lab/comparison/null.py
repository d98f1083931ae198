"""What a machine shows where nothing differs: one run against itself (METHOD M12, A/A)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lab.comparison.judge import HEADLINES, Change, compare
from lab.comparison.sides import Side
from lab.statistics import INTERVAL_FLOOR, RefusedError

SPLITS = 20
BLOCKS = 2 * INTERVAL_FLOOR


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


def measure(run: Side, seed: int = 1) -> Null:
    """Split a run's blocks into random halves again and again, and compare the halves.

    Raises:
        RefusedError: The run has too few blocks for two halves with an interval each.
    """
    blocks = sorted(set(run.numbers.block))
    if len(blocks) < BLOCKS:
        raise RefusedError(
            f"{run.name} has {len(blocks)} blocks; comparing it with itself needs {BLOCKS}: "
            f"lab bench --blocks {BLOCKS}"
        )
    found = [compare(a, b, HEADLINES) for a, b in _halves(run, blocks, random.Random(seed))]
    numbers = [number for family in found for number in family]
    alarms = [number.change in {Change.WORSE, Change.BETTER} for number in numbers]
    families = [any(n.change in {Change.WORSE, Change.BETTER} for n in family) for family in found]
    sizes = [number.size for number in numbers]
    return Null(
        comparisons=len(numbers),
        false_alarms=sum(alarms),
        splits=len(found),
        families=sum(families),
        smallest_effect=float(np.expm1(np.quantile(sizes, 0.95, method="inverted_cdf"))),
    )


def _halves(run: Side, blocks: list[int], order: random.Random) -> Iterator[tuple[Side, Side]]:
    for _ in range(SPLITS):
        chosen = set(order.sample(blocks, len(blocks) // 2))
        is_first = run.numbers.block.isin(chosen)
        # Two runs to the judge: halves of one campaign share no block, so nothing pairs.
        first = run.numbers[is_first].assign(run="first")
        second = run.numbers[~is_first].assign(run="second")
        yield replace(run, numbers=first), replace(run, numbers=second)
