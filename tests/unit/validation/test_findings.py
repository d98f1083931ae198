"""Tests the contradictions that flag a trial, and the effects of a fault that do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lab.core.faults import Fault, FaultKind
from lab.core.model import Flag, Paced, Topology
from lab.core.provider import CpuUse
from lab.recording.host_counters import CpuTimes, read_host
from lab.running.trial import EdgeReading, TrialObservation, place
from lab.validation import disturbance, trial_row
from lab.validation.contention import cpus_of_trial
from lab.validation.fault_outcomes import ProvedHit
from lab.validation.findings import findings
from lab.validation.issue import Issue
from lab.validation.trial_files import Records
from tests.factories.simulated import Instants, journal, window
from tests.factories.trials import spec_of

RATE_HZ, N = 50.0, 1_000
DUE = np.arange(N) / RATE_HZ
HIT = ProvedHit(0, 10_000_000_000, 11_000_000_000, frozenset())
NOTHING = {"n_wrong_answer": 0, "n_unexpected": 0, "n_negative": 0}


def observation(fault: Fault | None = None) -> TrialObservation:
    """Return the observations of a paced trial on one worker slot."""
    arrival = Paced(N, RATE_HZ, "uniform")
    topology = Topology(1, 1, 1)
    spec = spec_of("celery", "io", arrival, topology, 5_000, fault=fault, warmup_tasks=0)
    return TrialObservation(spec, 1, Path(), place(spec), 0, "")


def records(sent: Instants, ended: Instants, service_s: float = 0.005) -> Records:
    """Return the tables of a trial in which every task was accepted and finished."""
    tasks = window(DUE, ended, service_s).assign(phase="measure")
    samples = pd.DataFrame({"source": [], "metric": [], "t_ns": [], "value": []})
    return Records(tasks, tasks, journal(DUE, sent, sent + 1e-4), samples, None)


def issues_of(tables: Records, *hits: ProvedHit) -> list[Issue]:
    """Return the findings of a trial with the hits."""
    fault = Fault(FaultKind.WORKER_KILL) if hits else None
    return findings(observation(fault), {}, tables, NOTHING, hits)


BLOCKED = np.where((DUE >= 10.0) & (DUE < 15.0), 15.0, DUE)
LATE = np.where(DUE < 5.0, 5.0, DUE)


def test_a_submitter_that_waits_after_a_hit_is_an_effect_of_the_fault() -> None:
    """A submit call may block while its server is away; the generator is checked before that."""
    tables = records(BLOCKED, BLOCKED + 0.01)
    assert "generator_limited" in issues_of(tables)[0].reason
    assert issues_of(tables, HIT) == []


def test_a_submitter_that_is_late_before_the_first_hit_flags_the_trial() -> None:
    """The fault cannot be its cause."""
    issues = issues_of(records(LATE, LATE + 0.01), HIT)
    assert any("generator_limited" in issue.reason for issue in issues)


def test_workers_that_were_replaced_may_run_beside_the_new_ones() -> None:
    """Orphans of a killed worker go on: more tasks run than there are slots."""
    tables = records(DUE, DUE + 0.05, 0.05)
    assert [issue.flag for issue in issues_of(tables)] == [Flag.INVALID]
    assert "ran at once on 1 worker slots" in issues_of(tables)[0].reason
    # Records that are missing contradict every count.
    assert findings(observation(), {"missing": "node 1: no"}, tables, NOTHING) == []
    assert issues_of(tables, HIT) == []


@pytest.mark.parametrize(("column", "words"), [
    ("n_wrong_answer", "3 tasks with a wrong answer"),
    ("n_unexpected", "3 executions of tasks that were never submitted"),
    ("n_negative", "3 durations below zero"),
])  # fmt: skip
def test_no_fault_excuses_wrong_records(column: str, words: str) -> None:
    """A wrong answer, an unknown task and a negative duration flag every trial."""
    tables = records(DUE, DUE + 0.01)
    fault = Fault(FaultKind.WORKER_KILL)
    issues = findings(observation(fault), {}, tables, NOTHING | {column: 3}, [HIT])
    assert issues == [Issue(Flag.INVALID, words)]


def read_twice(outcome: TrialObservation) -> TrialObservation:
    """Add readings, ten seconds apart, in which the host was busy and a process was killed."""
    host, cpu = read_host(), CpuUse(0, 0, 0)
    cpus = cpus_of_trial(outcome.placement)
    host = replace(host, t_ns=0, cpus=dict.fromkeys(cpus, CpuTimes(0.0, 0.0)), oom_kills=0)
    used = dict.fromkeys(cpus, CpuTimes(0.5, 2.5))
    later = replace(host, t_ns=10_000_000_000, cpus=used, oom_kills=1)
    outcome.begin, outcome.end = EdgeReading(host, cpu, 0, {}), EdgeReading(later, cpu, 0, {})
    return outcome


@pytest.mark.parametrize(
    ("kind", "oom_kills"), [(FaultKind.WORKER_KILL, 1.0), (FaultKind.WORKER_OOM, None)]
)
def test_a_killed_process_hides_the_cpu_time_of_others_only(
    kind: FaultKind, oom_kills: float | None
) -> None:
    """Steal still counts; the CPU time of roles is not in the row."""
    outcome = read_twice(observation(Fault(kind)))
    control = disturbance.observed(outcome, has_hits=False)
    assert control is not None
    assert control.other_cpu == pytest.approx(0.7)
    disturbed = disturbance.observed(outcome, has_hits=True)
    less = replace(control, other_cpu=None, cpu_taken=None, cpu_wait=None)
    assert disturbed == replace(less, oom_kills=oom_kills)
    assert disturbed.steal == 0.25
    assert trial_row._used(outcome, control, has_hits=False)["cpu_workers_ns"] == 0
    assert "cpu_workers_ns" not in trial_row._used(outcome, disturbed, has_hits=True)


def test_the_use_of_other_machines_is_not_compared_with_that_of_this_one() -> None:
    """Workers elsewhere use no CPU here, so what others used here cannot follow from it."""
    outcome = read_twice(observation(Fault(FaultKind.NONE)))
    outcome.placement = replace(outcome.placement, is_remote=True)
    disturbed = disturbance.observed(outcome)
    assert disturbed is not None
    assert (disturbed.other_cpu, disturbed.cpu_taken, disturbed.cpu_wait) == (None, None, None)
