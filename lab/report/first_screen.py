"""Makes the first screen of the page: the verdict, the machine's state, one chart, five columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lab.analysis.colours import colour_of
from lab.analysis.contracts import by_contract
from lab.analysis.labels import REFERENCE, each, identify
from lab.analysis.queries import THROUGHPUT, WithoutFaults
from lab.core.model import COUNTED_FLAGS, Burst, Flag, Paced, Status
from lab.figures import Tables
from lab.report import overview
from lab.report.answers.queries import cells, main_place, values
from lab.report.flag_reasons import OVERLOADED, is_overloaded
from lab.report.headlines import without_interval
from lab.report.number_format import digits, plural, seconds
from lab.report.numbers import shown, speed_words
from lab.report.summary import LabelRow
from lab.report.verdict import verdict

MB, IDLE_MEMORY = 1e6, "memory_bytes_per_worker_idle"
# Distance of the outermost dots from the ends of the axis, in percent of its width.
MARGIN = 4.0


@dataclass(frozen=True, slots=True)
class ChartMetric:
    """A number that the chart can show: its metric, arrival, title, and text of a value.

    `unit` is that of the metric, as it follows a number with a decimal prefix.
    """

    name: str
    title: str
    metric: str
    arrival: str
    unit: str
    is_low_best: bool
    write: Callable[[float], str]


MEASURES = (
    ChartMetric(
        "throughput",
        "tasks per second",
        THROUGHPUT,
        Burst.kind,
        "/s",
        is_low_best=False,
        write=lambda value: f"{digits(value)}/s",
    ),
    ChartMetric(
        "wait",
        "median wait",
        "queue_latency_s_p50",
        Paced.kind,
        "s",
        is_low_best=True,
        write=seconds,
    ),
    ChartMetric(
        "memory",
        "memory of an idle worker",
        IDLE_MEMORY,
        Burst.kind,
        "B",
        is_low_best=True,
        write=lambda value: f"{digits(value / MB)} MB",
    ),
)
COLUMNS = (
    overview.OverviewColumn("tasks/s", "throughput", overview.estimated(THROUGHPUT, 1.0)),
    overview.OverviewColumn(
        "wait p50 ms", "latency", overview.estimated("queue_latency_s_p50", 1e3)
    ),
    overview.OverviewColumn(
        "wait p99 ms", "latency", overview.estimated("queue_latency_s_p99", 1e3)
    ),
    overview.OverviewColumn("idle MB/worker", "memory", overview.estimated(IDLE_MEMORY, 1 / MB)),
    overview.OverviewColumn("lost", "lost", overview.counted("n_lost")),
)


@dataclass(frozen=True, slots=True)
class Dot:
    """One system in the chart.

    Attributes:
        label: Its label.
        name: Its short name.
        colour: The colour of its family.
        text: The value with its unit.
        details: The value, its interval, the number of trials, and the ids of the trials.
        value: The value in the unit of the metric.
        interval: The ends of its interval, in the same unit; None without an interval.
        x, low, high: Percent of the axis; `low` and `high` are None without an interval. A
            reference outside the range of the systems is at the end of the axis.
        is_reference: Whether it is a reference.
        is_disturbed: Whether no trial of it counts, so that the number is not ranked.
    """

    label: str
    name: str
    colour: str
    text: str
    details: Sequence[str]
    value: float
    interval: tuple[float, float] | None
    x: float
    low: float | None
    high: float | None
    is_reference: bool
    is_disturbed: bool


@dataclass(frozen=True, slots=True)
class Strip:
    """The chart of one measure at one place; the best system is first, disturbed ones are last.

    `interval` is the sentence about the lines, or about the blocks that they lack.
    """

    name: str
    title: str
    place: str
    unit: str
    interval: str
    dots: Sequence[Dot]


@dataclass(frozen=True, slots=True)
class SystemGroup:
    """The rows of the systems with one contract, or of the references."""

    title: str
    is_reference: bool
    rows: Sequence[LabelRow]


@dataclass(frozen=True, slots=True)
class FirstScreen:
    """The parts of the first screen."""

    verdict: str
    machine: str
    strips: Sequence[Strip]
    headings: Sequence[str]
    groups: Sequence[SystemGroup]


def first_screen(tables: Tables) -> FirstScreen:
    """Return the first screen of a run.

    The state of the machine is that of all trials; numbers are of trials without faults (METHOD
    M27).
    """
    plain = WithoutFaults(tables)
    strips = [strip for measure in MEASURES if (strip := _strip(plain, measure))]
    return FirstScreen(
        verdict(plain),
        machine_state(tables["trial"]),
        strips,
        _headings(plain),
        _groups(plain),
    )


def _headings(tables: Tables) -> list[str]:
    """Return the headings; that of memory has the number of workers, which share pages."""
    headings = [column.title for column in COLUMNS]
    n_workers = set(cells(tables, IDLE_MEMORY).drop_duplicates("label")["workers"])
    if len(n_workers) == 1:
        place = headings.index("idle MB/worker")
        headings[place] += f", {plural(int(n_workers.pop()), 'worker')}"
    return headings


def _groups(tables: Tables) -> list[SystemGroup]:
    """Return the rows by contract: a number of a pool is no alternative to that of a queue."""
    families = {row.label: row.family for row in each(identify(tables["trial"]))}
    lines = {line.label: line for line in overview.lines(tables, COLUMNS)}
    references = [label for label in lines if families[label] == REFERENCE]
    systems = [label for label in lines if families[label] != REFERENCE]
    # References bound the systems and are no candidates, so they are last.
    groups = {**by_contract(systems), REFERENCE: references}
    return [
        SystemGroup(title, title == REFERENCE, [lines[label] for label in labels])
        for title, labels in groups.items()
        if labels
    ]


def machine_state(trials: pd.DataFrame) -> str:
    """Return how many trials count, and the share of the CPUs that other processes took."""
    ran = trials[trials["status"] != Status.SKIPPED]
    if ran.empty:
        return ""
    # The number of trials is that of the verdict: those that failed are among them.
    ended = ran[ran["status"] == Status.OK]
    counted = int(ended["flag"].isin(COUNTED_FLAGS).sum())
    text = f"{counted} of {plural(len(ran), 'trial')} count."
    text = f"{text} {speed_words(ended['calibration_ns'])}".rstrip()
    disturbed = ended[ended["flag"] == Flag.DISTURBED]
    overloaded = sum(map(is_overloaded, each(disturbed)))
    if busy := len(disturbed) - overloaded:
        text += f" {plural(busy, 'trial')} had a busy machine."
    if overloaded:
        text += f" In {plural(overloaded, 'trial')}, {OVERLOADED}."
    if len(disturbed):
        text += " Such rates and waits are not ranked, and are in brackets where they are shown."
    return text


def _strip(tables: Tables, measure: ChartMetric) -> Strip | None:
    """Return the chart of one measure, at the place where most systems were measured."""
    counted = cells(tables, measure.metric).assign(is_disturbed=False)
    disturbed = cells(tables, measure.metric, "disturbed").assign(is_disturbed=True)
    rows = pd.concat([counted, disturbed], ignore_index=True)
    # The axis is logarithmic, so zero has no position on it.
    rows = rows[(rows["arrival"] == measure.arrival) & (rows["estimate"] > 0)]
    if rows.empty:
        return None
    # One place only: numbers of unequal topologies, workloads or rates must not share an axis.
    place = main_place(rows)
    # Counted rows are first, so a label with both kinds keeps the number that counts.
    rows = rows[rows["place"] == place].drop_duplicates("label")
    # Both sorts are stable, unlike the default of pandas: the second keeps the order by value.
    rows = rows.sort_values("estimate", ascending=measure.is_low_best, kind="stable")
    rows = rows.sort_values("is_disturbed", kind="stable")
    # A reference may be far beyond the systems and would compress them, so it sets no end of the
    # axis, unless the run has nothing else.
    systems = rows[rows["family"] != REFERENCE]
    ends = (rows if systems.empty else systems)[["estimate", "ci_low", "ci_high"]]
    # An arithmetic interval (METHOD M9) may end at zero or below, which no logarithm has.
    ends = ends[ends > 0]
    scale = _Scale(float(ends.min().min()), float(ends.max().max()))
    # With its trial ids, a number can be repeated by `lab reproduce`.
    ids = values(tables, measure.metric)
    # Only the trials behind the number: a system may have the metric at other places as well.
    ids = ids[ids["place"] == place]
    dots = [_dot(row, measure, scale, ids[ids["label"] == row.label]) for row in each(rows)]
    interval = without_interval(rows, [measure.metric])
    interval = interval or "The line is the 95 % interval over trials."
    return Strip(measure.name, measure.title, str(place), measure.unit, interval, dots)


def _dot(row: Any, measure: ChartMetric, scale: _Scale, trials: pd.DataFrame) -> Dot:
    number = shown(row, 1.0)
    value = f"{row.bound}{measure.write(float(row.estimate))}"
    interval = None
    parts = [value, number.note]
    if pd.notna(row.ci_low) and pd.notna(row.ci_high):
        interval = (float(row.ci_low), float(row.ci_high))
        low, high = map(measure.write, interval)
        parts.insert(1, f"95 % interval {low} to {high}")
    if len(trials):
        parts.append(f"trials {' '.join(dict.fromkeys(trials['trial_id']))}")
    return Dot(
        label=row.label,
        name=row.name,
        colour=colour_of(row.family),
        text=f"({value})" if row.is_disturbed else value,
        details=parts,
        value=float(row.estimate),
        interval=interval,
        x=scale.percent(float(row.estimate)),
        low=scale.percent(interval[0]) if interval else None,
        high=scale.percent(interval[1]) if interval else None,
        is_reference=row.family == REFERENCE,
        is_disturbed=bool(row.is_disturbed),
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """A logarithmic axis between two positive values."""

    least: float
    most: float

    def percent(self, value: float) -> float:
        """Return the position of a value in percent of the axis, inside the margins."""
        if value <= 0:
            return MARGIN
        width = math.log(self.most / self.least)
        # A chart of one value has no width, and its dot is in the middle.
        share = math.log(value / self.least) / width if width else 0.5
        return round(MARGIN + (100 - 2 * MARGIN) * min(max(share, 0.0), 1.0), 2)
