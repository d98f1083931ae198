"""Defines the ranges of the numbers on the command line, and parses such numbers.

`lab.campaign.feasible` applies the same ranges to plans in files.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lab.core.placement import available_cpus

# ASCII only: int and float also accept digits of other scripts, underscores and spaces.
WHOLE = re.compile(r"[0-9]{1,30}")
REAL = re.compile(r"[0-9]{0,30}\.?[0-9]{0,30}(?:[eE][+-]?[0-9]{1,3})?")
SHOWN_LETTERS = 40


@dataclass(frozen=True, slots=True)
class Whole:
    """Parses a whole number from `low` to `high`."""

    low: int
    high: int

    def __str__(self) -> str:
        """Describe the range."""
        return f"{self.low:,} to {self.high:,}"

    def __call__(self, text: str) -> int:
        """Parse a number.

        Raises:
            argparse.ArgumentTypeError: It is not a whole number in the range.
        """
        number = int(text) if WHOLE.fullmatch(text) else self.low - 1
        if not self.low <= number <= self.high:
            raise argparse.ArgumentTypeError(f"{shown(text)} is not a whole number from {self}")
        return number


@dataclass(frozen=True, slots=True)
class Size(Whole):
    """Parses a whole number from `low` to `high`, with or without a unit: 20ms is 20,000 us.

    Attributes:
        units: Unit -> its factor. A unit that ends like another one is before it.
    """

    units: Mapping[str, int]

    def __call__(self, text: str) -> int:
        """Parse a number, and return it in the unit of the factor 1.

        Raises:
            argparse.ArgumentTypeError: It is not a whole number in the range.
        """
        unit = next((unit for unit in self.units if text.endswith(unit)), "")
        count = text.removesuffix(unit)
        number = int(count) * self.units.get(unit, 1) if WHOLE.fullmatch(count) else self.low - 1
        if not self.low <= number <= self.high:
            raise argparse.ArgumentTypeError(
                f"{shown(text)} is not a whole number from {self}, with or without "
                f"{' or '.join(self.units)}"
            )
        return number


@dataclass(frozen=True, slots=True)
class Real:
    """Parses a number from `low` to `high`."""

    low: float
    high: float

    def __str__(self) -> str:
        """Describe the range."""
        return f"{self.low:,g} to {self.high:,.10g}"

    def __call__(self, text: str) -> float:
        """Parse a number.

        Raises:
            argparse.ArgumentTypeError: It is not a number in the range.
        """
        # Alone, `REAL` matches an empty text and a single point, which float refuses.
        has_digit = re.match(r"\.?[0-9]", text) is not None
        number = float(text) if has_digit and REAL.fullmatch(text) else -1.0
        if not self.low <= number <= self.high:
            raise argparse.ArgumentTypeError(f"{shown(text)} is not a number from {self}")
        return number


@dataclass(frozen=True, slots=True)
class Percent(Real):
    """Parses a percentage from `low` to `high`, with or without its sign."""

    def __call__(self, text: str) -> float:
        """Parse a percentage; return it as a share of 1.

        Raises:
            argparse.ArgumentTypeError: It is not a number in the range.
        """
        return Real.__call__(self, text.removesuffix("%")) / 100


@dataclass(frozen=True, slots=True)
class Several:
    """Parses whole numbers of one range, separated by commas, and drops duplicates."""

    each: Whole

    def __str__(self) -> str:
        """Describe the range."""
        return str(self.each)

    def __call__(self, text: str) -> tuple[int, ...]:
        """Parse numbers.

        Raises:
            argparse.ArgumentTypeError: One of them is not a whole number in the range.
        """
        return tuple(dict.fromkeys(self.each(part) for part in text.split(",")))


NUMBERS = (Whole, Real, Several)


def shown(text: str) -> str:
    """Return typed text in quotes, truncated to `SHOWN_LETTERS` characters."""
    cut = text if len(text) <= SHOWN_LETTERS else f"{text[:SHOWN_LETTERS]}..."
    return repr(cut)


DAY_S = 86_400.0
CPUS = len(available_cpus())
TASKS = Whole(1, 1_000_000)
OCCURRENCES = Whole(1, 86_400)
SECONDS = Real(0.1, DAY_S)
# Seconds of a pause, a grace period, or until a restart.
FAULT_S = Real(0.1, 3_600)
HITS = Whole(1, 1_000)
RATE_HZ = Real(0.0001, 1_000_000)
CORES = Several(Whole(1, CPUS))
# For a plan from a larger machine: its nodes share the cores of this one.
PLANNED_CORES = Whole(1, 4_096)
NODES = Several(Whole(1, 64))
DRIVERS = Whole(1, 64)
WORKERS_PER_CORE = Several(Whole(1, 1_000))
# The smallest quota of the kernel is 1 ms of a period of 10 ms.
QUOTA_CPUS = Real(0.1, CPUS)
BLOCKS = Whole(1, 1_000)
PRECISION = Percent(0.1, 50)
PAIRS = Whole(1, 1_000)
RELEASES = Whole(2, 50)
SEED = Whole(0, 2**31 - 1)
THRESHOLD_PERCENT = Real(0, 10_000)
# Sizes of workloads by unit; the largest are an hour and 1 GiB.
SIZES: Mapping[str, Whole] = {
    "us": Size(1, 3_600_000_000, {"us": 1, "ms": 1_000, "s": 1_000_000}),
    "B": Size(1, 2**30, {"KiB": 2**10, "MiB": 2**20, "B": 1}),
    "KiB": Size(1, 2**20, {"KiB": 1, "MiB": 2**10}),
}
ANY_SIZE = Whole(1, 1_000_000_000)
# Limits of a campaign.
MOST_TRIALS = 100_000
LONGEST_DAYS = 30
