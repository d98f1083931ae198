"""Computes the rows of the summary, one per configuration, for the terminal and the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lab.analysis.attempts import USABLE
from lab.analysis.cells import cell_key
from lab.analysis.colours import colour_of
from lab.analysis.disturbed import SUFFIX
from lab.analysis.labels import each, identify
from lab.analysis.queries import THROUGHPUT, topology_names, workload_names
from lab.analysis.statistics import LARGEST_OVERHEAD, SMALL_OVERHEAD, proportion
from lab.core.cell import SITE, TOPOLOGY
from lab.core.model import COUNTED_FLAGS, Flag, Status
from lab.figures import Tables
from lab.report.flag_reasons import in_words
from lab.report.headlines import RowKey, shown_estimates
from lab.report.limits import limit_of, most_per_s
from lab.report.number_format import NOT_MEASURED, REFUSED, percent
from lab.report.numbers import Number, possible, shown, speed_spread

Trials = list[Any]  # rows of the trial table, as `each` yields them


@dataclass(frozen=True, slots=True)
class Column:
    """One number of a row: a metric of an arrival.

    `scale` converts the metric's unit to the unit in `title`.
    """

    name: str
    title: str
    metric: str
    arrival: str
    scale: float


COLUMNS = (
    Column("throughput", "tasks/s", THROUGHPUT, "burst", 1),
    Column("of_reference", "% of reference", "throughput_of_reference", "burst", 100),
    Column("instrumentation", "instrumentation %", "instrumentation_overhead", "burst", 100),
    Column("overhead", "overhead us/task", "overhead_s_per_task", "burst", 1e6),
    Column("p50", "p50 ms", "queue_latency_s_p50", "paced", 1e3),
    Column("p90", "p90 ms", "queue_latency_s_p90", "paced", 1e3),
    Column("p99", "p99 ms", "queue_latency_s_p99", "paced", 1e3),
    Column("round_trip", "round trip p50 ms", "round_trip_s_p50", "round-trip", 1e3),
)
ARRIVALS = {column.arrival for column in COLUMNS}

# Marks a throughput as a lower bound: instrumentation lowers it by more than METHOD M19 allows.
ABOVE = "\u2020"
ROLES = ("driver", "services", "workers")


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label's row; `numbers` are in the order of the table's headings."""

    label: str
    name: str
    colour: str
    numbers: Sequence[Number]


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One configuration: a label with a workload, a topology and the rate of its paced trials.

    With several rates there is one row per rate, with the same numbers of the burst. `cpu` is the
    CPU time per task in us, by role. `speed_spread` is that of `speed_spread`, and `trial` the id
    of one of its trials.
    """

    label: str
    name: str
    colour: str
    workload: str
    topology: str
    cores_x_nodes: str
    rate: str
    numbers: Mapping[str, Number]
    cpu: Number
    speed_spread: str
    n_tasks: int
    lost: Number
    unfinished: Number
    duplicated: Number
    flags: str
    trial: str


def summary(tables: Tables) -> list[SummaryRow]:
    """Return the rows by workload and topology, the highest throughput first.

    A skipped configuration has no row. `lab.report.schedules`, `lab.report.workflows` and
    `lab.report.resources` have the other arrivals.

    Args:
        tables: At least `trial` and `estimate`.
    """
    trials = tables["trial"]
    trials = trials[(trials["status"] != Status.SKIPPED) & trials["arrival"].isin(ARRIVALS)]
    if trials.empty:
        return []
    named = trials.assign(workload_name=workload_names(trials), topology=topology_names(trials))
    named = named.merge(identify(trials)[["label", "name"]], on="label")
    cells: dict[RowKey, Trials] = {}
    for trial in each(named.sort_values(["nominal_ns", "workload", "size", *TOPOLOGY])):
        # By site and not by cell: the burst and the paced trials of a system share one row.
        cells.setdefault(tuple(getattr(trial, name) for name in SITE), []).append(trial)
    estimates = shown_estimates(tables["estimate"])
    rows = [row for cell in cells.values() for row in _rows(cell, estimates)]
    # A dict keeps the last of equal keys; reversed, that is the first position of each place.
    places = {row.workload + row.topology: number for number, row in reversed([*enumerate(rows)])}
    rows.sort(key=lambda row: (places[row.workload + row.topology], -_rank(row)))
    return rows


def _rank(row: SummaryRow) -> float:
    # A refused or disturbed number has no value, and ranks last (METHOD M23).
    return row.numbers["throughput"].value or 0.0


def _rows(cell: Trials, estimates: Mapping[RowKey, Any]) -> Iterator[SummaryRow]:
    rates = sorted({trial.rate_hz for trial in cell if trial.arrival == "paced"}) or [None]
    for rate in rates:
        trials = [trial for trial in cell if trial.arrival != "paced" or trial.rate_hz == rate]
        first = trials[0]
        yield SummaryRow(
            label=first.label,
            name=first.name,
            colour=colour_of(first.family),
            workload=first.workload_name,
            topology=first.topology,
            cores_x_nodes=f"{first.cores_per_node} x {first.nodes}",
            rate="" if rate is None else f"{rate:g}",
            numbers=_numbers(trials, estimates),
            cpu=_cpu(trials, estimates),
            speed_spread=speed_spread(trial.calibration_ns for trial in trials),
            n_tasks=sum(trial.n_sent for trial in _sent(trials)),
            lost=count_of(trials, "n_lost"),
            # A slow system that the deadline cuts off has lost nothing (METHOD M28).
            unfinished=count_of(trials, "n_partial", "n_unknown"),
            duplicated=count_of(trials, "n_duplicated"),
            flags=flags_of(trials),
            trial=first.trial_id,
        )


def _numbers(cell: Trials, estimates: Mapping[RowKey, Any]) -> Mapping[str, Number]:
    """Return the number of each column, with the reference's name and the mark of METHOD M19."""
    numbers = {column.name: number_of(cell, estimates, column) for column in COLUMNS}
    burst = next((trial for trial in cell if trial.arrival == "burst"), cell[0])
    reference = burst.reference.replace("@default", "")
    share = numbers["of_reference"]
    if not reference and numbers["throughput"].value is not None:
        # Not `not measured`: no command could measure a share without a reference.
        numbers["of_reference"] = Number("a reference" if burst.family == "reference" else "none")
    elif share.value is not None:
        numbers["of_reference"] = replace(share, text=f"{share.text} % of {reference}")
    elif share.text == REFUSED and numbers["throughput"].value is not None:
        # The trials are not the cause: the reference is missing, and the note has the command.
        numbers["of_reference"] = replace(share, text=NOT_MEASURED)
    overhead = estimates.get(("instrumentation_overhead", *cell_key(burst)))
    rate = numbers["throughput"]
    if overhead is not None and is_above(overhead) and rate.value is not None:
        note = f"{rate.note}; instrumentation lowers it by more than METHOD M19 allows"
        # The estimate may be a bound already; a second sign would read as `>>x`.
        bound = f">{rate.text.removeprefix('>')}"
        numbers["throughput"] = replace(rate, text=f"{bound} {ABOVE}", note=note)
    # After the mark: a rate that is refused keeps it, because its text moves into the note.
    throughput = estimates.get((THROUGHPUT, *cell_key(burst)))
    # A reference that only records tasks does no work, and has no such limit.
    if throughput is not None and burst.runs_tasks and rate.value is not None:
        most = most_per_s(burst.workers, burst.nominal_ns)
        ends = (throughput.ci_low, throughput.ci_high)
        low, high = (None if pd.isna(end) else float(end) for end in ends)
        limit = limit_of(float(throughput.estimate), low, high, most=most)
        numbers["throughput"] = possible(numbers["throughput"], limit)
    return numbers


def is_above(overhead: Any) -> bool:
    """Return True if an estimate of the instrumentation overhead exceeds a bound of METHOD M19."""
    if pd.isna(overhead.estimate):
        return False
    # With fewer than five trials there is no interval (METHOD M2): the estimate is all there is.
    high = overhead.estimate if pd.isna(overhead.ci_high) else overhead.ci_high
    return bool(overhead.estimate > SMALL_OVERHEAD or high > LARGEST_OVERHEAD)


def number_of(cell: Trials, estimates: Mapping[RowKey, Any], column: Column) -> Number:
    """Return the number of one column, or the reason for its absence."""
    trials = [trial for trial in cell if trial.arrival == column.arrival]
    if not trials:
        return Number(NOT_MEASURED)
    # The largest burst, because its start has the smallest effect on its throughput.
    largest = max(trials, key=lambda trial: trial.n_planned)
    if not any(trial.status in USABLE and trial.flag in COUNTED_FLAGS for trial in trials):
        # Only where nothing counts is a disturbed number better than none (METHOD M23).
        estimate = estimates.get((f"{column.metric}{SUFFIX}", *cell_key(largest)))
        if estimate is None:
            reasons = _reasons(trials)
            note = f"no trial is usable: {reasons}" if reasons else "no trial is usable"
            return Number(_ending(trials), note=note)
        return in_brackets(shown(estimate, column.scale), _reasons(trials))
    estimate = estimates.get((column.metric, *cell_key(largest)))
    return Number(NOT_MEASURED) if estimate is None else shown(estimate, column.scale)


def _cpu(cell: Trials, estimates: Mapping[RowKey, Any]) -> Number:
    """Return the CPU time per task of all roles as one text."""
    parts = {
        role: number_of(cell, estimates, Column(role, role, f"cpu_{role}_s_per_task", "burst", 1e6))
        for role in ROLES
    }
    if all(part.value is None for part in parts.values()):
        return parts["driver"]
    texts = {role: part.text for role, part in parts.items()}
    if not any(trial.services for trial in cell):
        # Without servers the CPU time is not unknown: there is no process that could use any.
        texts["services"] = "none"
    notes = [
        f"{role}: {part.interval or 'no interval'}; {part.note}"
        for role, part in parts.items()
        if part.value is not None
    ]
    # Three numbers have no common rank: the value only states that there is something to show.
    return Number(" / ".join(texts.values()), note="\n".join(notes), value=0.0)


def in_brackets(number: Number, reasons: str) -> Number:
    """Return a number of disturbed trials: it is shown and has no value to rank or to compare."""
    if number.value is None:  # refused, whatever the machine did
        return number
    return Number(f"({number.text})", number.interval, f"disturbed: {reasons}; {number.note}")


def _reasons(trials: Trials) -> str:
    reasons = dict.fromkeys(t.flag_reasons for t in trials if t.flag == Flag.DISTURBED)
    return in_words("; ".join(reasons))


def _ending(trials: Trials) -> str:
    """Return the most frequent flag or status of these trials."""
    ((state, _),) = Counter(map(_state, trials)).most_common(1)
    return state


def _state(trial: Any) -> str:
    """Return a trial's flag if its status is `ok`, otherwise its status."""
    return str(trial.flag if trial.status == Status.OK else trial.status)


def _sent(cell: Trials) -> Trials:
    """Return the attempts that sent tasks and were not interrupted.

    Unfinished tasks of an interrupted attempt are not lost; their outcome is unknown.
    """
    return [trial for trial in cell if trial.n_sent and trial.status != Status.INTERRUPTED]


def count_of(cell: Trials, *columns: str) -> Number:
    """Count tasks with their upper 95 % bound (METHOD M28)."""
    # Failed and invalid attempts are included: a task that was lost in one of them is lost.
    sent = _sent(cell)
    if not sent:
        return Number(_ending(cell))
    n = sum(trial.n_sent for trial in sent)
    k = sum(getattr(trial, column) for trial in sent for column in columns)
    if k > n:  # one task may be executed any number of times
        return Number(f"{k:,} of {n:,}", value=k)
    share = proportion(k, n)
    bound = f"≤ {percent(share.high)}" if share.high is not None else ""
    return Number(f"{k:,} of {n:,}", bound, share.method, k)


def flags_of(cell: Trials) -> str:
    """Count the attempts: by flag if the status is `ok`, otherwise by status."""
    counts = Counter(map(_state, cell))
    order = [*Flag, *(status for status in Status if status != Status.OK)]
    return ", ".join(f"{counts[state]} {state}" for state in order if counts[state])
