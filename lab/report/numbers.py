"""Formats estimates as numbers of a table, with interval, bound and method."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lab.analysis.statistics import variation
from lab.report.limits import LEAST, ExceededLimit, limit_of
from lab.report.number_format import REFUSED, digits, percent, plural


@dataclass(frozen=True, slots=True)
class Number:
    """A formatted number; `value` is None if there is none, `interval` and `note` may be empty."""

    text: str
    interval: str = ""
    note: str = ""
    value: float | None = None


def shown(estimate: Any, scale: float) -> Number:
    """Format an estimate over trials with three digits; see `written`."""
    return written(estimate, scale, plural(int(estimate.n_trials), "trial"))


def written(estimate: Any, scale: float, counted: str, most: float | None = None) -> Number:
    """Format an estimate with three digits, its interval, its bound and its method.

    Args:
        estimate: A row of estimates.
        scale: Factor from the unit of the estimate to the unit of the table.
        counted: The number of trials or blocks, with its noun.
        most: The largest possible value, in the unit of the table; None: there is none.
    """
    if pd.isna(estimate.estimate):
        # A percentile of too few tasks has no value (METHOD M11); its method has the reason.
        return Number(REFUSED, note=estimate.method)
    value = float(estimate.estimate) * scale
    ends = [estimate.ci_low, estimate.ci_high]
    known = not any(pd.isna(end) for end in ends)
    low, high = (float(end) * scale if known else None for end in ends)
    number = Number(
        f"{estimate.bound}{digits(value)}",
        f"{digits(low)} to {digits(high)}" if low is not None and high is not None else "",
        f"n = {counted}; {estimate.method}",
        value,
    )
    # The limits of `LEAST` are zero, so they hold in the unit of the table, too.
    return possible(number, limit_of(value, low, high, least=LEAST.get(estimate.metric), most=most))


def possible(number: Number, limit: ExceededLimit | None) -> Number:
    """Return a number, or what to show for one that is beyond what is possible."""
    if limit is None:
        return number
    if limit.is_refused:
        return Number(REFUSED, note=f"{number.text} {number.interval}: {limit.reason}".strip())
    text = f"not distinguishable from {limit.value:g}"
    # The value is the limit: an impossible number must not rank before a possible one.
    return replace(number, text=text, note=f"{number.text}; {number.note}", value=limit.value)


def speed_spread(loop_ns: Iterable[Any]) -> str:
    """Return how much the CPU's own speed varied between trials; empty for fewer than two.

    It is the coefficient of variation of the fixed loop's times (METHOD M23). The intervals of the
    row include it.
    """
    known = [float(value) for value in loop_ns if pd.notna(value) and value > 0]
    return f"\N{PLUS-MINUS SIGN}{percent(variation(known))}" if len(known) > 1 else ""


def speed_words(loop_ns: Iterable[Any]) -> str:
    """Return `speed_spread` of the trials of a run as a sentence; empty for fewer than two."""
    spread = speed_spread(loop_ns)
    return f"The CPU's own speed varied by {spread} between them." if spread else ""
