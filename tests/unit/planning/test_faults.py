"""Tests how faults are read from the command line, planned, and refused."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from lab.core.errors import UsageError
from lab.core.faults import Fault, FaultKind, of_kind
from lab.core.model import Burst, Paced, Periodic, RoundTrip, TrialSpec
from lab.planning import faults
from lab.planning.compatibility import unsupported_reason
from lab.planning.presets import CRON, EXPERIMENTS, FAULTS, Case
from lab.providers.compose import ComposeCluster
from lab.providers.local import LocalCluster
from tests.factories.trials import spec_of

KILL = Fault(FaultKind.WORKER_KILL, hits=5)


def spec(fault: Fault, label: str = "celery", n_tasks: int = 600) -> TrialSpec:
    """Return a paced trial of a minute with a fault."""
    return spec_of(label, "io", Paced(n_tasks, 10.0), size=50_000, fault=fault)


def of_jobs(label: str, kind: FaultKind = FaultKind.SCHEDULER_KILL) -> TrialSpec:
    """Return a trial of jobs with a fault, by default one of their scheduler."""
    return spec_of(label, arrival=Periodic(1, 20, every_s=1.0), fault=Fault(kind))


def by_cron(label: str, kind: FaultKind = FaultKind.SCHEDULER_KILL, hits: int = 5) -> TrialSpec:
    """Return a trial of a job that is due each minute, with a window for its hits."""
    fault = Fault(kind, hits)
    arrival = faults.fitted(Periodic(1, 1, cron=CRON), fault)
    return spec_of(label, arrival=arrival, fault=fault)


@pytest.mark.parametrize(
    "text",
    [
        *FaultKind,
        "network-cut:60s",
        "worker-term:grace-2.5s",
        "worker-kill:no-restart",
        "worker-kill:restart-5s",
        "broker-kill:aof-always",
        "broker-pause:60s:restart-2s:rdb",
        "clock-step:-3600s",
        "clock-step:60s:+0.5s",
    ],
)
def test_a_fault_is_read_from_its_text(text: str) -> None:
    """The text of a table can be typed again."""
    assert faults.parse(text).text == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("worker-kil", r"Unknown fault 'worker-kil'. Did you mean 'worker-kill'"),
        ("", "Unknown fault ''"),
        ("worker-kill:soon", r"'soon' is no factor. Write no-restart, restart-Ns, .*aof-always"),
        ("clock-step:--1s", "'--1s' is no factor"),
        ("worker-pause:0s", "'0' is not a number from 0.1 to 3,600"),
        ("worker-pause:1..2s", "'1..2' is not a number"),
        ("host-loss:5s", "'host-loss:5s': a lost host does not return. Write host-loss."),
    ],
)
def test_a_wrong_fault_is_refused_with_the_next_step(text: str, message: str) -> None:
    """One sentence names the value and what to write."""
    with pytest.raises(UsageError, match=message):
        faults.parse(text)


def test_hits_are_spread_over_the_window_with_time_to_recover() -> None:
    """Each part of the window has one hit, and the next is not drawn before the recovery."""
    fitted = faults.fitted(Paced(1, 10.0), KILL)
    assert isinstance(fitted, Paced)
    offsets = faults.offsets_ns(spec(KILL, n_tasks=fitted.n_tasks))
    assert len(offsets) == KILL.hits
    assert offsets[0] >= faults.LEAD_S * 1e9
    gaps = [later - earlier for earlier, later in itertools.pairwise(offsets)]
    assert min(gaps) >= (faults.after_s(KILL) - 0.001) * 1e9
    assert offsets[-1] / 1e9 <= fitted.n_tasks / 10.0 - faults.RECOVERY_S
    assert len({round(gap / 1e6) for gap in gaps}) > 1, "the instants are drawn"


def test_hits_are_equal_for_all_systems_of_a_block() -> None:
    """The seed of the arrival decides, so another block has others."""
    of_celery = faults.offsets_ns(spec(KILL))
    assert faults.offsets_ns(spec(KILL, "rq")) == of_celery
    assert faults.offsets_ns(replace(spec(KILL), seed=6)) != of_celery


def test_hits_of_a_burst_are_in_its_work() -> None:
    """A burst has no planned end; its work is that of its tasks."""
    burst = replace(spec(KILL), arrival=Burst(100))
    assert all(0 < offset < 5e9 for offset in faults.offsets_ns(burst))


@pytest.mark.parametrize("kind", [FaultKind.SUBMITTER_KILL, FaultKind.HOST_LOSS])
def test_what_does_not_return_is_hit_once_in_each_of_several_blocks(kind: FaultKind) -> None:
    """Five hits of a preset are five trials."""
    cases = faults.of_cases(EXPERIMENTS[FAULTS].cases, [], 5, is_fitted=True)
    of_fault = [case for case in cases if case.fault and case.fault.kind is kind]
    assert [(case.blocks, case.fault.hits) for case in of_fault if case.fault] == [(5, 1)] * 2


def test_the_experiment_has_every_fault_and_the_control() -> None:
    """Each with a window that is as long as its hits need."""
    cases = [*faults.of_cases(EXPERIMENTS[FAULTS].cases, [], 5, is_fitted=True)]
    assert {case.fault.kind for case in cases if case.fault} == {*FaultKind}
    assert len({(case.fault, case.fallback, case.arrival) for case in cases}) == len(cases)
    pause = next(case for case in cases if case.fault == of_kind(FaultKind.WORKER_PAUSE, 5))
    assert isinstance(pause.arrival, Paced)
    assert pause.arrival.n_tasks / pause.arrival.rate_hz >= 5 * 10.0


def test_typed_faults_replace_those_of_the_experiment() -> None:
    """The experiment runs once for each typed fault; another case is combined with each."""
    typed = [KILL, Fault(FaultKind.NONE)]
    cases = [*EXPERIMENTS[FAULTS].cases, Case("noop", Burst(100))]
    chosen = [*faults.of_cases(cases, typed, 5, is_fitted=False)]
    assert [(case.workload, case.fallback, case.fault) for case in chosen] == [
        *(("io", False, fault) for fault in typed),
        *(("io", True, fault) for fault in typed),
        ("noop", False, Fault(FaultKind.NONE)),  # of jobs every second
        ("noop", True, Fault(FaultKind.NONE)),  # of jobs by the minute
        *(("noop", False, fault) for fault in typed),
    ]


def test_the_submitter_is_killed_in_as_many_blocks_as_other_faults_hit() -> None:
    """A trial has one submitter, so it has one hit."""
    cases = faults.of_cases(EXPERIMENTS[FAULTS].cases, [], 20, is_fitted=True)
    killed = [c for c in cases if c.fault and c.fault.kind is FaultKind.SUBMITTER_KILL]
    assert {(case.fault.hits, case.blocks) for case in killed if case.fault} == {(1, 20)}


def test_a_fault_of_the_scheduler_runs_with_jobs() -> None:
    """The experiment has no other case for it; the second is for schedulers by the minute."""
    typed = [Fault(FaultKind.SCHEDULER_KILL)]
    case, by_the_minute = faults.of_cases(EXPERIMENTS[FAULTS].cases, typed, 1, is_fitted=True)
    assert by_the_minute.fallback
    assert by_the_minute.arrival == Periodic(1, 3, cron=CRON)
    assert isinstance(case.arrival, Periodic)
    assert case.arrival.n_occurrences * case.arrival.every_s >= 10.0
    trial = spec_of("celery-beat", arrival=case.arrival, fault=typed[0])
    latest_s = faults.window_s(trial) - faults.after_s(typed[0])
    assert faults.LEAD_S <= faults.offsets_ns(trial)[0] / 1e9 <= latest_s


def test_a_step_of_the_clock_runs_with_tasks_and_with_jobs() -> None:
    """Both have the control beside it."""
    for typed in ([of_kind(FaultKind.CLOCK_STEP)], [Fault(FaultKind.NONE)], []):
        cases = faults.of_cases(EXPERIMENTS[FAULTS].cases, typed, 1, is_fitted=True)
        kinds = {(type(case.arrival), case.fault.kind) for case in cases if case.fault}
        for kind in {fault.kind for fault in typed} or {FaultKind.CLOCK_STEP, FaultKind.NONE}:
            assert {(Paced, kind), (Burst, kind), (Periodic, kind)} <= kinds


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (spec(KILL), None),
        (spec(Fault(FaultKind.CLOCK_STEP), "thread-pool"), None),
        (of_jobs("django-crontab", FaultKind.CLOCK_STEP), "by cron, whose clock"),
        (spec(KILL, "thread-pool"), "executes tasks in the driver: there is no worker"),
        (spec(Fault(FaultKind.CHILD_KILL), "process-pool"), None),
        (spec(Fault(FaultKind.CHILD_KILL), "thread-pool"), "there is no child process for"),
        (spec(Fault(FaultKind.POISON), "asyncio"), "there is no child process for"),
        (spec(Fault(FaultKind.NONE), "asyncio"), None),
        (spec(Fault(FaultKind.BROKER_KILL), "process-pool"), "has no server for the fault"),
        (spec(Fault(FaultKind.SCHEDULER_KILL)), "needs jobs: add --arrival"),
        (of_jobs("celery-beat"), None),
        (of_jobs("apscheduler"), "has no process outside of the driver that starts jobs"),
        (by_cron("django-q"), None),
        (by_cron("huey"), None),
        (by_cron("django-crontab"), "by this machine's cron, which starts those of others too"),
        (by_cron("django-crontab", FaultKind.BROKER_KILL), "has no server for the fault"),
        (replace(spec(KILL), arrival=RoundTrip(5)), "not arrival round-trip"),
    ],
)
def test_a_fault_that_can_hit_nothing_is_skipped_with_the_reason(
    spec: TrialSpec, reason: str | None
) -> None:
    """The reason is a sentence in the plan and in the row."""
    actual = unsupported_reason(spec, LocalCluster.offers)
    assert actual == reason if reason is None else reason in str(actual)


def test_hits_of_jobs_lie_in_their_occurrences() -> None:
    """The wait for the first firing may be much longer than the window."""
    arrival = Periodic(1, 20, every_s=1.0)
    jobs = spec_of("celery-beat", arrival=arrival, fault=Fault(FaultKind.SCHEDULER_KILL, hits=5))
    assert 10e9 < max(faults.offsets_ns(jobs)) < 22e9


def test_cron_of_a_container_is_a_scheduler() -> None:
    """It belongs to the trial, unlike that of the machine."""
    spec = replace(by_cron("django-crontab"), provider="compose")
    assert unsupported_reason(spec, ComposeCluster.offers, is_on_host=False) is None


# The start of a window on both clocks, 20 s after a full minute.
BEGIN_NS, WALL_NS = 1_000_000_000_000, 1_796_000_000_000_000_000


def seconds_ahead(spec: TrialSpec, wall_ns: int = WALL_NS) -> list[tuple[int, float]]:
    """Return the full minute after each hit, from the start of a window, and the seconds to it."""
    hits_ns = faults.instants_ns(spec, BEGIN_NS, wall_ns - BEGIN_NS)
    walls_s = [(hit_ns + wall_ns - BEGIN_NS) / 1e9 for hit_ns in hits_ns]
    return [(math.ceil((s - wall_ns / 1e9) / 60), 60 - s % 60) for s in walls_s]


@pytest.mark.parametrize("second", [0.0, 20.0, 56.0, 59.9])
def test_a_scheduler_by_the_minute_is_dead_when_a_job_is_due(second: float) -> None:
    """The first instant is left out: until the first firing no occurrence is judged."""
    spec = by_cron("django-q")
    wall_ns = WALL_NS // 60_000_000_000 * 60_000_000_000 + round(second * 1e9)
    minutes, ahead_s = zip(*seconds_ahead(spec, wall_ns), strict=True)
    assert all(0.7 <= each <= 0.95 for each in ahead_s)
    assert minutes == (2, 3, 4, 5, 6)
    assert isinstance(spec.arrival, Periodic)
    assert spec.arrival.n_occurrences == 7


def test_hits_by_the_minute_are_equal_for_all_systems_of_a_block() -> None:
    """The seed of the arrival decides, so another block has others."""
    of_django_q = seconds_ahead(by_cron("django-q"))
    assert seconds_ahead(by_cron("django-crontab")) == of_django_q
    assert seconds_ahead(replace(by_cron("django-q"), seed=6)) != of_django_q


def test_a_scheduler_that_is_dead_for_minutes_is_hit_again_when_it_runs() -> None:
    """A hit needs a target, and the window is longer."""
    fault = Fault(FaultKind.SCHEDULER_KILL, 2, restart_s=90.0)
    arrival = faults.fitted(Periodic(1, 1, cron=CRON), fault)
    assert arrival == Periodic(1, 6, cron=CRON)
    spec = spec_of("django-q", arrival=arrival, fault=fault)
    assert [minute for minute, _ in seconds_ahead(spec)] == [2, 4]


def test_a_short_window_by_the_minute_has_at_least_one_hit() -> None:
    """A typed window is not made longer, and has no instants after it."""
    spec = replace(by_cron("django-q"), arrival=Periodic(1, 1, cron=CRON))
    assert [minute for minute, _ in seconds_ahead(spec)] == [1]
    of_two = replace(spec, arrival=Periodic(1, 2, cron=CRON))
    just_before_ns = WALL_NS + 38_000_000_000
    assert [minute for minute, _ in seconds_ahead(of_two, just_before_ns)] == [2]


def test_the_hits_of_other_jobs_are_those_of_earlier_versions() -> None:
    """They do not depend on the wall clock; published trials had these."""
    fault = Fault(FaultKind.SCHEDULER_KILL, 5)
    arrival = faults.fitted(Periodic(1, 1, every_s=1.0), fault)
    spec = spec_of("celery-beat", arrival=arrival, fault=fault)
    assert spec.id == "22efc25aa5e06f16"
    hits_ns = faults.instants_ns(spec, BEGIN_NS, WALL_NS - BEGIN_NS)
    assert [at_ns - BEGIN_NS for at_ns in hits_ns] == [
        *(5_878_765_449, 16_693_855_106, 27_014_201_005, 35_092_392_170, 47_594_475_505)
    ]


@pytest.mark.parametrize(
    ("label", "persistence", "reason"),
    [
        (
            "celery[prefork]",
            "",
            "Redis writes nothing without persistence: use --fault broker-disk",
        ),
        ("dask[distributed]", "", "has no server whose disk the fault can hit"),
        ("celery[prefork]", "aof-always", None),
        ("celery[prefork+rabbitmq]", "", None),
    ],
)
def test_a_full_disk_needs_a_server_that_writes(
    label: str, persistence: str, reason: str | None
) -> None:
    """Otherwise nothing could fail, and the trial is skipped."""
    fault = replace(of_kind(FaultKind.BROKER_DISK_FULL), persistence=persistence)
    refusal = unsupported_reason(spec(fault, label), ComposeCluster.offers)
    assert (refusal is None) == (reason is None)
    assert (reason or "") in (refusal or "")
