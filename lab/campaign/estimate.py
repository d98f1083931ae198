"""Estimates the duration of trials and campaigns."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from functools import cache

from lab.core import fire_times
from lab.core.defects import contained
from lab.core.model import Idle, Paced, Periodic, TrialSpec
from lab.planning import redelivery, registry
from lab.providers import PROVIDERS
from lab.worker import user_function

# Seconds of a trial in addition to its tasks: start and stop of processes, verify, quiet, the time
# of its row, its share of the report. A provider adds its own start. `TASKS_PER_S` is
# the rate of no-ops per worker slot of a backend with worker processes. Means over all backends on
# two shared cores, used only for the estimate before the first trial has ended.
IN_PROCESS_S, WITH_CLUSTER_S = 0.65, 2.75
TASKS_PER_S = 100.0
# Below it, all arguments of a trial are made in less time than its start takes.
SHORTEST_ARGUMENT_S = 1e-4
# The scheduler leaves a part of the CPUs, however many other processes run.
MOST_TAKEN = 0.75
# Past trials whose estimates sum to this weigh as much as the expectation before them: one trial
# alone may be slow by chance.
TRUSTED_S = 10.0


def estimate_s(spec: TrialSpec, slowdown: float = 1.0) -> float:
    """Estimate a trial's length in seconds from its spec.

    `slowdown` multiplies its work: waits take as long on a busy machine.
    """
    return _waits_s(spec) + slowdown * _work_s(spec)


def _waits_s(spec: TrialSpec) -> float:
    """Return the seconds of the window, if the plan fixes it, and of the wait for redeliveries."""
    arrival, window_s = spec.arrival, 0.0
    if isinstance(arrival, Periodic):
        window_s = fire_times.planned_s(arrival)
    elif isinstance(arrival, Idle):
        window_s = arrival.seconds
    elif isinstance(arrival, Paced):
        window_s = arrival.n_tasks / arrival.rate_hz
    return window_s + redelivery.wait_s(spec)


@cache  # the time left is estimated after each trial, from all others
def _work_s(spec: TrialSpec) -> float:
    has_cluster = registry.has_worker_processes(registry.select(spec.label))
    fixed_s = WITH_CLUSTER_S if has_cluster else IN_PROCESS_S
    fixed_s += PROVIDERS[spec.provider].start_s
    n = spec.arrival.n_tasks
    fixed_s += (n + spec.warmup_tasks) * _argument_s(spec.workload, spec.size)
    is_planned = isinstance(spec.arrival, Periodic | Idle | Paced)
    n_in_sequence = (spec.warmup_tasks + (0 if is_planned else n)) / spec.topology.workers
    return fixed_s + n_in_sequence * (spec.nominal_ns / 1e9 + has_cluster / TASKS_PER_S)


@cache
def _argument_s(workload: str, size: int) -> float:
    """Return the seconds that an argument and its right answer take; 0 if they are short."""
    # The arguments of a user's function are the same object in every task.
    if user_function.is_user_function(workload):
        return 0.0

    def cpu_s() -> float:
        # Imported before the clock is read.
        _, module = registry.workload(workload)
        # Not the time of a wall clock, in which the lab may have waited for a CPU.
        begin_s = time.thread_time()
        module.answer(module.argument(size, 0))
        return time.thread_time() - begin_s

    # The trials of a workload that raises or is not installed fail, each with a row and its reason.
    spent_s = contained(cpu_s, lambda _: 0.0)
    return spent_s if spent_s > SHORTEST_ARGUMENT_S else 0.0


def slowdown_by(others: float) -> float:
    """Return how many times longer work takes while other processes use a share of the CPUs."""
    return 1 / (1 - min(others, MOST_TAKEN))


def total_s(
    trials: Sequence[TrialSpec],
    seen: Sequence[tuple[TrialSpec, float]] = (),
    slowdown: float = 1.0,
) -> float:
    """Estimate the total length of `trials`, seconds.

    Past trials correct the estimates of the others: all of them by what their work took, and those
    of the same label and fault by their whole length.

    Args:
        trials: The trials.
        seen: Past trials of this run on this machine, each with its length in seconds.
        slowdown: That of work on this machine before the first trial (`slowdown_by`).
    """
    worked_s = sum(max(0.0, seconds - _waits_s(spec)) for spec, seconds in seen)
    slow = _ratio(worked_s, sum(_work_s(spec) for spec, _ in seen), slowdown)
    took, estimated = defaultdict[str, float](float), defaultdict[str, float](float)
    for spec, seconds in seen:
        took[_kind(spec)] += seconds
        estimated[_kind(spec)] += estimate_s(spec, slow)
    return sum(
        estimate_s(spec, slow) * _ratio(took[_kind(spec)], estimated[_kind(spec)], 1.0)
        for spec in trials
    )


def _kind(spec: TrialSpec) -> str:
    # Most of a trial with a fault is the wait for redeliveries, which others do not have.
    return f"{spec.label} {spec.fault.text if spec.fault else ''}"


def _ratio(took_s: float, estimated_s: float, before: float) -> float:
    """Return the ratio of two lengths; near the one `before` while they are short."""
    return (took_s + TRUSTED_S * before) / (estimated_s + TRUSTED_S)
