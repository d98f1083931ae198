"""Lists the contradictions in the records of a trial; lost tasks are a result, not one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lab.core.model import Flag, Paced, Periodic
from lab.host import wall_clock
from lab.planning.phases import Phase
from lab.running.trial import TrialObservation
from lab.validation import trial_files
from lab.validation.checker import generator_check
from lab.validation.fault_outcomes import ProvedHit
from lab.validation.issue import Issue
from lab.validation.operational_laws import cpu_check, cross_checks
from lab.validation.trial_files import Records

# Readings of different processes are up to some milliseconds apart.
CPU_CHECK_NS = 500_000_000
PROBLEMS = {
    "n_wrong_answer": "tasks with a wrong answer",
    "n_unexpected": "executions of tasks that were never submitted",
    "n_negative": "durations below zero",
}


def findings(
    outcome: TrialObservation,
    status: Mapping[str, Any],
    records: Records,
    counted: Mapping[str, Any],
    hits: Sequence[ProvedHit] = (),
) -> list[Issue]:
    """List the contradictions, each with the flag that it gives to the trial.

    After a hit, the submitter may wait for a server, a worker that is replaced may go on, and the
    CPU time of a process that ended is unknown; all that is an effect of the fault.

    Args:
        outcome: The lab's observations of the attempt.
        status: The last status that the driver wrote.
        records: The tables of the attempt.
        counted: Columns of the row with numbers of tasks.
        hits: The proved hits of the trial.
    """
    spec = outcome.spec
    issues = _of_generator(outcome, records, hits)
    # Firings of jobs may overlap, and rows that are missing contradict every count.
    if not isinstance(spec.arrival, Periodic) and not status.get("missing"):
        slots = None if hits else spec.topology.workers
        issues += cross_checks(records.tasks, records.submits, records.samples, slots)
    for column, problem in PROBLEMS.items():
        if counted[column]:
            issues.append(Issue(Flag.INVALID, f"{counted[column]} {problem}"))
    if not hits:
        issues += _of_cpu(outcome)
    # Where the answers of the window are not checked, the warm-up has the only check (METHOD M19).
    if trial_files.wrong_in_warm_up(spec, records.tasks):
        issues.append(Issue(Flag.INVALID, "wrong answers in the warm-up"))
    # A cron line names instants of the wall clock, so a step of it moves what is due (METHOD M26).
    if (step_ns := wall_clock.step_ns(status.get("wall", []))) > wall_clock.LARGEST_STEP_NS:
        reason = f"wall clock: set by {step_ns / 1e6:.1f} ms or more in the window"
        issues.append(Issue(Flag.INVALID, reason))
    return issues


def _of_generator(
    outcome: TrialObservation, records: Records, hits: Sequence[ProvedHit]
) -> list[Issue]:
    """Check the generator up to the first hit."""
    window = records.tasks[records.tasks.phase == Phase.MEASURE]
    submits, arrival = records.submits, outcome.spec.arrival
    if hits and isinstance(arrival, Paced):
        # By t0, which comes from the plan: the hit itself delays the instants of submit calls.
        submits = submits[submits.t0_ns < hits[0].at_ns]
        n_before = int((submits.phase == Phase.MEASURE).sum())
        # The plan ends at the hit too, or the rate would lack the tasks that are not judged.
        arrival = replace(arrival, n_tasks=max(1, n_before))
    took = (window.t4_ns - window.t0_ns).dropna()
    median_s = float(took.median()) / 1e9 if len(took) else 0.0
    return generator_check(submits, arrival, median_s, outcome.spec.topology.drivers)


def _of_cpu(outcome: TrialObservation) -> list[Issue]:
    """Check the workers' CPU time against their CPUs, in windows of at least `CPU_CHECK_NS`."""
    begin, end = outcome.begin, outcome.end
    if begin is None or end is None:
        return []
    window_ns = end.host.t_ns - begin.host.t_ns
    if window_ns < CPU_CHECK_NS:
        return []
    nodes = outcome.placement.nodes
    # On several machines, CPUs of one number are several.
    is_remote = outcome.placement.is_remote
    cpus = sum(map(len, nodes)) if is_remote else len({cpu for node in nodes for cpu in node})
    used_ns = end.cpu.workers_ns - begin.cpu.workers_ns
    return cpu_check(used_ns, cpus, window_ns)
