"""Stops the cells whose intervals are narrow enough, by a sequential rule (METHOD M10).

The rule is fixed before the first trial and recorded in the plan: it looks at the width of an
interval, never at which system is ahead. It is applied between blocks only, so that the trials of a
block stay pairs. It is a pure function of the tables, so a resumed campaign stops the same cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lab.analysis.attempts import last_attempts
from lab.analysis.cells import cell_key
from lab.analysis.statistics import INTERVAL_FLOOR, interval
from lab.core.cell import CELL, cell_of_spec
from lab.core.model import (
    Burst,
    Chain,
    Estimate,
    FanOut,
    LoadLevel,
    Paced,
    RoundTrip,
    TrialSpec,
)

# The first narrow interval is often narrow by chance. With so many further blocks its coverage is
# close to the nominal one (Simons 1968; measured by a test, see METHOD M10).
EXTRA_BLOCKS = 2
FEWEST_BLOCKS = INTERVAL_FLOOR + EXTRA_BLOCKS
# The number by which a cell of each arrival is judged; cells of other arrivals run all blocks.
METRICS: Mapping[str, str] = {
    Burst.kind: "throughput_per_s",
    Paced.kind: "queue_latency_s_p50",
    LoadLevel.kind: "queue_latency_s_p50",
    RoundTrip.kind: "round_trip_s_p50",
    FanOut.kind: "group_s_p50",
    Chain.kind: "chain_s_p50",
}


def key_of(spec: TrialSpec) -> tuple[Any, ...]:
    """Return the cell of a planned trial, in the form of `lab.analysis.cells.cell_key`."""
    cell = cell_of_spec(spec)
    return tuple(getattr(cell, name) for name in CELL)


def precise_cells(
    trials: pd.DataFrame, metrics: pd.DataFrame, block: int, precision: float
) -> Mapping[tuple[Any, ...], str]:
    """Return the cells that need no trial of `block` or later, each with the reason.

    Args:
        trials: `TrialRow` columns.
        metrics: `MetricRow` columns.
        block: The next block; only trials of blocks before it decide.
        precision: Half the width of an interval, as a share of the value.
    """
    if metrics.empty:
        return {}
    ended = last_attempts(trials[trials["block"] < block])
    values = metrics[(metrics["is_valid"] == 1) & metrics["metric"].isin(METRICS.values())]
    rows = ended.merge(values, on=["trial_id", "attempt"]).sort_values("block", kind="stable")
    by_cell: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows.itertuples(index=False):
        if METRICS.get(str(row.arrival)) == row.metric:
            by_cell.setdefault(cell_key(row), []).append(row)
    return {
        cell: reason for cell, of_cell in by_cell.items() if (reason := _reason(of_cell, precision))
    }


def _reason(rows: Sequence[Any], precision: float) -> str:
    """Return why a cell needs no more trials; empty if it does."""
    # The distance of a bound from the true value is unknown, so it has no interval (METHOD M9).
    if any(row.bound for row in rows):
        return ""
    values = [float(row.value) for row in rows]
    n = blocks_needed(values, precision)
    if n is None or len(values) < n:
        return ""
    width = half_width(interval(values[: n - EXTRA_BLOCKS]))
    return (
        f"{rows[0].metric} was known to {width:.1%} after {n - EXTRA_BLOCKS} blocks, and "
        f"{EXTRA_BLOCKS} more have run: --precision {precision:.3%} needs no further trial "
        "(METHOD M10)."
    )


def blocks_needed(values: Sequence[float], precision: float) -> int | None:
    """Return the number of blocks after which the rule stops; None if it does not stop yet.

    Args:
        values: One number of each block, in order.
        precision: Half the width of an interval, as a share of the value.
    """
    for n in range(INTERVAL_FLOOR, len(values) + 1):
        if half_width(interval(values[:n])) <= precision:
            return n + EXTRA_BLOCKS
    return None


def half_width(estimate: Estimate) -> float:
    """Return the distance of the farther end of an interval, as a share of the value."""
    if estimate.low is None or estimate.high is None or not estimate.value:
        return float("inf")
    return max(estimate.high - estimate.value, estimate.value - estimate.low) / abs(estimate.value)
