"""Computes speed-ups over workers, cores or nodes, and fits scaling laws (METHOD M20, M21)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pandas as pd

from lab.analysis import scaling_laws
from lab.analysis.scaling_laws import Coefficient
from lab.analysis.statistics import LEVEL, RefusedError, paired_ratio
from lab.analysis.sweeps.grouping import lines, noun_of, oversubscription
from lab.analysis.sweeps.series import NOTHING, Line
from lab.core.backend import INLINE
from lab.core.model import Estimate
from lab.results.schema.sweep import TrendRow

RATE = "throughput_per_s"


def scaling(rows: pd.DataFrame, analysis_id: str) -> Iterator[TrendRow]:
    """Yield the speed-ups of each label on each line, and its law under strong scaling."""
    for family in lines(rows):
        # From all rows, because the loop may have another number of tasks than the family.
        loop = rows[
            (rows["backend"] == INLINE)
            & (rows["workload"] == family["workload"].iloc[0])
            & (rows["size"] == family["size"].iloc[0])
        ]
        # Largest burst of each block: two rows of a block would pair each other row twice.
        loop = loop.sort_values("n_planned").drop_duplicates("block", keep="last")
        for _, group in family.groupby("label", sort=False):
            if len(set(group["x"])) > 1:
                first = group.iloc[0]
                line = Line(group, str(first["axis"]), str(first["fixed"]), analysis_id)
                yield from _steps(line, loop)
                # Amdahl's law assumes a fixed amount of work; in weak scaling it grows.
                if first["work"] == "strong":
                    yield from _law(line)


def _steps(line: Line, loop: pd.DataFrame) -> Iterator[TrendRow]:
    start = line.rows["x"].min()
    base = line.rows[line.rows["x"] == start]
    base_name = f"{start:g} {noun_of(line.x_axis, start)}"
    for _, rows in line.rows.groupby("x"):
        x = float(rows["x"].iloc[0])
        row = partial(
            replace(line, rows=rows).row, unit="1", x=x, oversubscription=_oversubscription(rows)
        )
        yield row("speed_up_over_inline", estimate=_ratio(rows, loop, "the inline loop"))
        # A configuration over itself is 1 by definition.
        if x == start:
            continue
        speed, multiple = _ratio(rows, base, base_name), x / float(start)
        yield row("speed_up", estimate=speed)
        of = partial(scaling_laws.efficiency, base=1.0, multiple=multiple)
        share = _through(speed, of, f"speed-up / {multiple:g}")
        yield row("scaling_efficiency", estimate=share)
        yield row("serial_share", estimate=_serial_share(rows, speed, multiple))


def _oversubscription(rows: pd.DataFrame) -> str:
    """Return how the point exceeds the cores; with a quota, the share of throttled periods."""
    excess = oversubscription(next(rows.itertuples(index=False)))
    throttled = rows["throttle_ratio"].mean()
    if excess == "quota" and pd.notna(throttled):
        return f"{excess}, throttled in {throttled:.0%} of its periods"
    return excess


def _ratio(rows: pd.DataFrame, base: pd.DataFrame, name: str) -> Estimate:
    """Estimate the speed-up over a base from the blocks that have both (METHOD M12)."""
    # Blocks without a partner are dropped: an unpaired rate would bring back the drift (METHOD M4).
    pairs = rows[["block", RATE]].merge(base[["block", RATE]], on="block").dropna()
    if pairs.empty:
        return replace(NOTHING, method=f"No block has both this throughput and that of {name}.")
    _, rates, base_rates = pairs.columns
    ratio = paired_ratio(pairs[rates].tolist(), pairs[base_rates].tolist(), LEVEL)
    rate = pairs[base_rates].mean()
    return replace(ratio, method=f"over {rate:.4g} tasks/s of {name}; {ratio.method}")


def _serial_share(rows: pd.DataFrame, speed: Estimate, multiple: float) -> Estimate:
    if rows["work"].iloc[0] == "weak":
        return _through(speed, partial(scaling_laws.gustafson, multiple=multiple), "Gustafson")
    return _through(speed, partial(scaling_laws.karp_flatt, multiple=multiple), "Karp and Flatt")


def _through(speed: Estimate, of: Callable[[float], float], name: str) -> Estimate:
    """Apply a monotone function of the speed-up to its estimate and interval."""
    if not speed.n:
        return speed
    method = f"{name}; {speed.method}"
    if speed.low is None or speed.high is None:
        return replace(speed, value=of(speed.value), method=method)
    # A serial share falls as the speed-up grows, so the ends change places.
    low, high = sorted((of(speed.low), of(speed.high)))
    return replace(speed, value=of(speed.value), low=low, high=high, method=method)


def _law(line: Line) -> Iterator[TrendRow]:
    """Yield the law's coefficients; one that the points do not identify is a row with a reason."""
    points = line.rows.dropna(subset=[RATE])
    names = (("law_rate_per_s", "1/s"), ("contention", "1"), ("coherency", "1"), ("peak", "1"))
    try:
        law = scaling_laws.fit(points["x"].tolist(), points[RATE].tolist(), line.x_axis)
    except RefusedError as refusal:
        for metric, unit in names:
            yield line.row(metric, unit=unit, estimate=replace(NOTHING, method=str(refusal)))
        return
    coefficients = (law.rate, law.contention, law.coherency, law.peak)
    blocks = points["block"].nunique()
    for (metric, unit), coefficient in zip(names, coefficients, strict=True):
        yield line.row(metric, unit=unit, estimate=_estimate(coefficient, law.about, blocks))


def _estimate(coefficient: Coefficient | None, description: str, blocks: int) -> Estimate:
    if coefficient is None:
        return replace(NOTHING, method=f"Not identified: {description}.")
    method = f"{description}; trials resampled within each size"
    value, low, high = coefficient.value, coefficient.low, coefficient.high
    return Estimate(value, low, high, LEVEL, blocks, method)
