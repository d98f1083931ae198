"""What more workers, cores or nodes bring: speed-ups with their bases, and laws (M20, M21)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pandas as pd

from lab.analysis import scaling_laws
from lab.analysis.scaling_laws import Coefficient
from lab.analysis.statistics import RefusedError, paired_ratio
from lab.analysis.sweeps.grouping import beyond, lines, plural
from lab.analysis.sweeps.series import LEVEL, NOTHING, Line
from lab.core.model import Estimate
from lab.results.schema.sweep import TrendRow

INLINE = "inline"  # the backend that is the best serial loop
RATE = "throughput_per_s"


def growth(rows: pd.DataFrame, analysis_id: str) -> Iterator[TrendRow]:
    """Tell of each label on each line every step, and the law it follows where that is known."""
    for family in lines(rows):
        loop = rows[
            (rows["backend"] == INLINE)
            & (rows["workload"] == family["workload"].iloc[0])
            & (rows["size"] == family["size"].iloc[0])
        ]
        loop = loop.sort_values("n_planned").drop_duplicates("block", keep="last")
        for _, own in family.groupby("label", sort=False):
            if len(set(own["x"])) > 1:
                first = own.iloc[0]
                line = Line(own, str(first["axis"]), str(first["held"]), analysis_id)
                yield from _steps(line, loop)
                if first["work"] == "strong":
                    yield from _law(line)


def _steps(line: Line, loop: pd.DataFrame) -> Iterator[TrendRow]:
    start = line.rows["x"].min()
    base = line.rows[line.rows["x"] == start]
    own_base = f"{start:g} {plural(line.along, start)}"
    for _, rows in line.rows.groupby("x"):
        x = float(rows["x"].iloc[0])
        row = partial(replace(line, rows=rows).row, unit="1", at=x, beyond=_beyond(rows))
        yield row("speed_up_over_inline", found=_ratio(rows, loop, "the inline loop"))
        if x == start:
            continue
        speed, multiple = _ratio(rows, base, own_base), x / float(start)
        yield row("speed_up", found=speed)
        of = partial(scaling_laws.efficiency, base=1.0, multiple=multiple)
        share = _through(speed, of, f"speed-up / {multiple:g}")
        yield row("scaling_efficiency", found=share)
        yield row("serial_share", found=_serial_share(rows, speed, multiple))


def _beyond(rows: pd.DataFrame) -> str:
    """Say what the point wants beyond the cores, and of a quota how often it stopped the nodes."""
    said, stopped = beyond(next(rows.itertuples(index=False))), rows["throttle_ratio"].mean()
    often = f", which stopped it in {stopped:.0%} of its periods"
    return said + often * (said == "quota" and pd.notna(stopped))


def _ratio(rows: pd.DataFrame, base: pd.DataFrame, name: str) -> Estimate:
    """Estimate the speed-up over a base from the blocks that have both (METHOD M12)."""
    pairs = rows[["block", RATE]].merge(base[["block", RATE]], on="block").dropna()
    if pairs.empty:
        return replace(NOTHING, method=f"No block has a rate of both this and {name}.")
    _, own, bases = pairs.columns
    found = paired_ratio(pairs[own].tolist(), pairs[bases].tolist(), LEVEL)
    rate = pairs[bases].mean()
    return replace(found, method=f"over {rate:.4g} tasks/s of {name}; {found.method}")


def _serial_share(rows: pd.DataFrame, speed: Estimate, multiple: float) -> Estimate:
    if rows["work"].iloc[0] == "weak":
        return _through(speed, partial(scaling_laws.gustafson, multiple=multiple), "Gustafson")
    return _through(speed, partial(scaling_laws.karp_flatt, multiple=multiple), "Karp and Flatt")


def _through(speed: Estimate, of: Callable[[float], float], name: str) -> Estimate:
    """Carry an estimate through a monotone function of the speed-up."""
    if not speed.n:
        return speed
    method = f"{name}; {speed.method}"
    if speed.low is None or speed.high is None:
        return replace(speed, value=of(speed.value), method=method)
    low, high = sorted((of(speed.low), of(speed.high)))
    return replace(speed, value=of(speed.value), low=low, high=high, method=method)


def _law(line: Line) -> Iterator[TrendRow]:
    """Tell the law's coefficients; what the points do not identify is refused by its sentence."""
    points = line.rows.dropna(subset=[RATE])
    names = (("law_rate_per_s", "1/s"), ("contention", "1"), ("coherency", "1"), ("peak", "1"))
    try:
        law = scaling_laws.fit(points["x"].tolist(), points[RATE].tolist(), line.along)
    except RefusedError as refusal:
        for metric, unit in names:
            yield line.row(metric, unit=unit, found=replace(NOTHING, method=str(refusal)))
        return
    found = (law.rate, law.contention, law.coherency, law.peak)
    blocks = points["block"].nunique()
    for (metric, unit), coefficient in zip(names, found, strict=True):
        yield line.row(metric, unit=unit, found=_coefficient(coefficient, law.about, blocks))


def _coefficient(found: Coefficient | None, about: str, blocks: int) -> Estimate:
    if found is None:
        return replace(NOTHING, method=f"Not identified: {about}.")
    method = f"{about}; trials drawn anew within each size"
    return Estimate(found.value, found.low, found.high, LEVEL, blocks, method)
