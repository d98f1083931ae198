"""Plans the faults of a trial: reads them from the command line, and draws their instants."""

from __future__ import annotations

import argparse
import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from lab.core import cron, fire_times
from lab.core.durations import longest_s
from lab.core.errors import UnknownNameError, UsageError
from lab.core.faults import RESTART_S, Fault, FaultKind, Persistence, of_kind
from lab.core.model import Arrival, Paced, Periodic, TrialSpec
from lab.planning import ranges
from lab.planning.presets import WITH_JOBS, WITH_TASKS, Case

# Seconds of a window before its first hit, which show the rate without a fault.
LEAD_S = 3.0
# Seconds in which the instant of a hit is drawn, and those after it until the next may be drawn:
# the time to recover needs five seconds in a row (METHOD M27).
DRAWN_S, RECOVERY_S = 3.0, 6.0
# How long a hit precedes an instant of a cron line, as a part of the time until a restart: more
# than the delay of a hit on a busy machine, and so little that the target is dead at the instant.
AHEAD = (0.7, 0.95)
DURATION = re.compile(r"(grace-|restart-|[+-]|)([0-9.]+)s")
FACTOR_OF: Mapping[str, str] = {
    "": "heal_s",
    "grace-": "grace_s",
    "restart-": "restart_s",
    "+": "step_s",
    "-": "step_s",
}
NO_RESTART = "no-restart"
FACTORS = f"{NO_RESTART}, restart-Ns, grace-Ns, Ns, +Ns, -Ns or {', '.join(Persistence)}"


def parse(text: str) -> Fault:
    """Read a fault as typed: ``KIND[:FACTOR...]``, the inverse of `Fault.text`.

    Raises:
        UsageError: The kind or a factor is unknown, or a number is out of range.
    """
    name, *factors = text.split(":")
    if name not in [*FaultKind]:
        raise UnknownNameError("fault", name, map(str, FaultKind))
    fault = of_kind(FaultKind(name))
    for factor in factors:
        if fault.kind is FaultKind.HOST_LOSS:
            raise UsageError(f"Fault {text!r}: a lost host does not return. Write {name}.")
        if factor == NO_RESTART:
            fault = replace(fault, restart_s=None)
        elif factor in [*Persistence]:
            fault = replace(fault, persistence=factor)
        elif match := DURATION.fullmatch(factor):
            try:
                seconds = ranges.FAULT_S(match[2])
            except argparse.ArgumentTypeError as error:
                raise UsageError(f"Fault {text!r}: {error}.") from error
            changed: dict[str, Any] = {
                FACTOR_OF[match[1]]: -seconds if match[1] == "-" else seconds
            }
            fault = replace(fault, **changed)
        else:
            raise UsageError(f"Fault {text!r}: {factor!r} is no factor. Write {FACTORS}.")
    return fault


def after_s(fault: Fault) -> float:
    """Return the seconds from a hit until the next one may be drawn."""
    return RECOVERY_S + fault.pauses_s


def fitted(arrival: Arrival, fault: Fault) -> Arrival:
    """Return an arrival whose window is as long as the hits need; a burst is not changed."""
    needed_s = LEAD_S + fault.hits * (DRAWN_S + after_s(fault))
    if isinstance(arrival, Paced):
        return replace(arrival, n_tasks=round(needed_s * arrival.rate_hz))
    if isinstance(arrival, Periodic):
        n = round(needed_s / fire_times.period_s(arrival))
        # Of a cron line, the first occurrence defines the others, and the last shows the recovery.
        n = fault.hits * _stride(arrival, fault) + 2 if arrival.cron else n
        return replace(arrival, n_occurrences=n)
    return arrival


def _stride(arrival: Periodic, fault: Fault) -> int:
    """Return the number of occurrences from one hit to the next."""
    return math.ceil(after_s(fault) / fire_times.period_s(arrival))


def of_cases(
    cases: Iterable[Case], typed: Sequence[Fault], hits: int, *, is_fitted: bool
) -> Iterator[Case]:
    """Yield cases with the faults of the command line; cases of the experiment have their own.

    Args:
        cases: The selected cases.
        typed: The faults of the command line; empty: none were typed.
        hits: How often each fault of the experiment hits.
        is_fitted: Whether the windows of the experiment are as long as the hits need.
    """
    for case in cases:
        if case.fault is None:
            yield from [replace(case, fault=fault) for fault in typed] or [case]
        elif not typed:
            yield _with_fault(case, replace(case.fault, hits=hits), is_fitted=is_fitted)
        # The control is the pattern for typed faults: each case of a kind would repeat all of them.
        elif case.fault.kind is FaultKind.NONE:
            for fault in typed:
                if fault.kind in (WITH_JOBS if isinstance(case.arrival, Periodic) else WITH_TASKS):
                    yield _with_fault(case, fault, is_fitted=is_fitted)


def _with_fault(case: Case, fault: Fault, *, is_fitted: bool) -> Case:
    """Return a case of the experiment with a fault.

    A trial has one submitter, and a host does not return, so these faults hit once in as many
    blocks instead of often in one.
    """
    if fault.kind in (FaultKind.SUBMITTER_KILL, FaultKind.HOST_LOSS):
        case, fault = replace(case, blocks=fault.hits), replace(fault, hits=1)
    arrival = fitted(case.arrival, fault) if is_fitted else case.arrival
    return replace(case, fault=fault, arrival=arrival)


def window_s(spec: TrialSpec) -> float:
    """Return the seconds of a trial's window; of a burst, the work of its tasks."""
    if isinstance(spec.arrival, Periodic):
        return fire_times.window_s(spec.arrival)
    work_s = spec.arrival.n_tasks * spec.nominal_ns / 1e9 / spec.topology.workers
    # The planned work of no-ops is zero, and a hit needs a window.
    return longest_s(spec.arrival) or max(1.0, work_s)


def offsets_ns(spec: TrialSpec) -> list[int]:
    """Draw the instants of a trial's hits, ns from the start of its window.

    The window after `LEAD_S` has an equal part for each hit. In each, the instant is uniform, with
    time for the recovery after it, if the window is long enough. The seed is that of the arrival,
    so the instants are equal for all systems of a block (METHOD M4, M27).
    """
    if spec.fault is None:
        return []
    length_s = window_s(spec)
    lead_s = min(LEAD_S, length_s / 4)
    part_s = (length_s - lead_s) / spec.fault.hits
    drawn_s = max(part_s - after_s(spec.fault), part_s / 4)
    # A separate stream: the arrivals of a trial are the same with a fault and without.
    draw = random.Random(f"{spec.seed}/fault")
    starts = [lead_s + part_s * hit for hit in range(spec.fault.hits)]
    return [round((start + draw.random() * drawn_s) * 1e9) for start in starts]


def instants_ns(spec: TrialSpec, begin_ns: int, wall_offset_ns: int) -> list[int]:
    """Return the instants of a trial's hits, ns of CLOCK_MONOTONIC.

    The jobs of a cron line are due at instants of the wall clock, between which a dead scheduler
    misses nothing. So each hit precedes such an instant by less than `restart_s`: the same for all
    systems. A short window has fewer hits than the fault, but at least one.

    Args:
        spec: The trial.
        begin_ns: The start of its window.
        wall_offset_ns: The wall clock minus CLOCK_MONOTONIC.
    """
    fault, arrival = spec.fault, spec.arrival
    if fault is None or not isinstance(arrival, Periodic) or not arrival.cron:
        return [begin_ns + offset for offset in offsets_ns(spec)]
    after_s = (begin_ns + wall_offset_ns) / 1e9
    due_s = [*islice(cron.instants_s(arrival.cron, after_s), arrival.n_occurrences)]
    # The first instant is left out: the first firing defines which occurrences are judged. It may
    # not be at an instant just after the start.
    first = 1 + sum(due < after_s + LEAD_S for due in due_s)
    stride, last = _stride(arrival, fault), arrival.n_occurrences - 1
    hit_s = dict.fromkeys(due_s[min(first + stride * hit, last)] for hit in range(fault.hits))
    draw = random.Random(f"{spec.seed}/fault")
    ahead_s = min(fault.restart_s or RESTART_S, RESTART_S)
    return [round((due - ahead_s * draw.uniform(*AHEAD)) * 1e9) - wall_offset_ns for due in hit_s]
