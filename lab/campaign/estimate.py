"""Estimates the duration of trials and campaigns."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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


def estimate_s(spec: TrialSpec) -> float:
    """Estimate a trial's length in seconds from its spec alone."""
    has_cluster = registry.has_worker_processes(registry.select(spec.label))
    fixed = WITH_CLUSTER_S if has_cluster else IN_PROCESS_S
    fixed += PROVIDERS[spec.provider].start_s
    task_s = spec.nominal_ns / 1e9 + has_cluster / TASKS_PER_S
    warm_up_s = spec.warmup_tasks * task_s / spec.topology.workers
    n = spec.arrival.n_tasks
    fixed += (n + spec.warmup_tasks) * _argument_s(spec.workload, spec.size)
    fixed += redelivery.wait_s(spec)
    if isinstance(spec.arrival, Periodic):
        return fixed + fire_times.planned_s(spec.arrival)
    if isinstance(spec.arrival, Idle):
        return fixed + warm_up_s + spec.arrival.seconds
    if isinstance(spec.arrival, Paced):
        return fixed + warm_up_s + n / spec.arrival.rate_hz
    return fixed + warm_up_s + n * task_s / spec.topology.workers


@cache
def _argument_s(workload: str, size: int) -> float:
    """Return the seconds that an argument and its right answer take; 0 if they are short."""
    # The arguments of a user's function are the same object in every task.
    if user_function.is_user_function(workload):
        return 0.0

    def compute_one() -> None:
        _, module = registry.workload(workload)
        module.answer(module.argument(size, 0))

    begin = time.perf_counter()
    # The trials of a workload that raises or is not installed fail, each with a row and its reason.
    contained(compute_one, lambda _: None)
    spent_s = time.perf_counter() - begin
    return spent_s if spent_s > SHORTEST_ARGUMENT_S else 0.0


def total_s(
    trials: Sequence[TrialSpec], seen_s: Mapping[tuple[str, str], Sequence[float]]
) -> float:
    """Estimate the total length of `trials`, seconds.

    Args:
        trials: The trials.
        seen_s: The lengths of past trials, by their label and the text of their fault: most of the
            length of a trial with a fault is the wait for redeliveries, which others do not have.
    """
    means = {key: sum(lengths) / len(lengths) for key, lengths in seen_s.items()}
    keys = [(spec.label, spec.fault.text if spec.fault else "") for spec in trials]
    return sum(
        means[key] if key in means else estimate_s(spec)
        for key, spec in zip(keys, trials, strict=True)
    )
