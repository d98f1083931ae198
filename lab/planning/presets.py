"""Defines the presets of a campaign, and the experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from lab.core.faults import Fault, FaultKind, of_kind
from lab.core.model import (
    Arrival,
    Burst,
    Chain,
    FanOut,
    Idle,
    Paced,
    Periodic,
    Priority,
    Retry,
    RoundTrip,
)
from lab.core.preflight import PreflightResult


@dataclass(frozen=True, slots=True)
class Case:
    """A workload at one size, and its arrival.

    size: None means the workload's default.
    widest: run only on the widest topology that a backend supports.
    blocks: run in the first blocks only, as many as this; None means in all.
    fallback: for backends that support no case before it that has the same fault.
    preflight: results of the calls of a user's function before the run.
    n_references: how many references run it for each backend: the plain call first, then those that
        the backend lists, in its order; None means all.
    weak: the number of tasks is for each worker (weak scaling).
    slower: divides the number of tasks for backends with worker processes, whose tasks take longer
        because they pass through a server.
    workers: worker slots per core, if the user selects none.
    fault: the deliberate failure in the window; None: nothing fails.
    """

    workload: str
    arrival: Arrival
    size: int | None = None
    widest: bool = False
    blocks: int | None = None
    fallback: bool = False
    preflight: PreflightResult | None = None
    n_references: int | None = 2
    weak: bool = False
    slower: int = 1
    workers: tuple[int, ...] = (1,)
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """The cases for one question; `quick` are the cases of the quick preset, if it has fewer."""

    summary: str
    cases: tuple[Case, ...]
    quick: tuple[Case, ...] = ()


@dataclass(frozen=True, slots=True)
class Preset:
    """The size of a campaign.

    warmup_per_slot: warm-up tasks per worker slot (METHOD M16).
    deadline_s: seconds until a trial times out.
    reruns: how often an invalid trial runs again.
    idle_s: seconds of an idle window (METHOD M25).
    hits: how often a fault hits in a window (METHOD M27).
    """

    name: str
    summary: str
    blocks: int
    cases: tuple[Case, ...]
    warmup_per_slot: int
    deadline_s: float
    reruns: int
    idle_s: float
    hits: int


FIRST_TASKS, BURST_S = 300, 1.5


@dataclass(frozen=True, slots=True)
class LoadSweep:
    """The rules of a load sweep, which measures latency against load (METHOD M6-M8).

    1. Bursts measure the saturation rate: one of `FIRST_TASKS`, and another of `BURST_S` seconds
       if the first was too short.
    2. Probes search for the sustainable rate, until it is known within `tolerance` (relative) or
       `most_rates` rates were tried; each rate until most of `repeats` probes agree.
    3. Each of `blocks` blocks has a trial for each of `fractions` of that rate, and for
       `equal_rates` rates that are equal for all backends, or for `rate_hz` if it is not 0.

    A window takes `window_s` seconds; with too few tasks for a percentile it is longer, up to
    `longest_s`. `gaps` is the distribution of the gaps between tasks.
    """

    fractions: tuple[float, ...]
    blocks: int
    equal_rates: int
    window_s: float
    longest_s: float
    tolerance: float
    most_rates: int
    repeats: int
    warmup_per_slot: int
    gaps: str = "poisson"
    rate_hz: float = 0.0


CRON, KIB = "* * * * *", 1024
# Well below the capacity of every system, with tasks so long that a hit meets some of them. The
# number of tasks follows from the fault. The second is for backends that take no single tasks.
_under_fault = partial(Case, "io", size=50_000, widest=True, blocks=1, n_references=0)
UNDER_FAULTS = partial(_under_fault, arrival=Paced(1, rate_hz=10.0))
AS_ONE_CALL = partial(_under_fault, arrival=Burst(200), fallback=True)
_jobs_under_fault = partial(Case, "noop", widest=True, blocks=1, n_references=0)
JOBS_UNDER_FAULTS = partial(_jobs_under_fault, arrival=Periodic(1, 1, every_s=1.0))
# For schedulers that have no shorter period.
BY_THE_MINUTE = partial(_jobs_under_fault, arrival=Periodic(1, 1, cron=CRON), fallback=True)
WITH_JOBS = (FaultKind.NONE, FaultKind.CLOCK_STEP, FaultKind.SCHEDULER_KILL)
WITH_TASKS = tuple(kind for kind in FaultKind if kind is not FaultKind.SCHEDULER_KILL)
# Too long to repeat: only in the first block, and with every reference.
_scheduled = partial(Case, widest=True, blocks=1, n_references=None)
# Five minutes on two cores for all backends, at least half of it inside windows. 64 tasks are the
# fewest for which a p90 is reported.
QUICK = (
    Case("noop", Burst(400), widest=True),
    Case("noop", Paced(150, rate_hz=50.0), widest=True, blocks=1, n_references=0),
    Case("cpu", Burst(100), blocks=1, n_references=1),
    _scheduled("noop", Periodic(1, 8, every_s=1.0), fallback=True),
    # The case above has the references of schedules; here they would wait a minute for nothing.
    _scheduled("noop", Periodic(1, 1, cron=CRON), fallback=True, n_references=0),
)
EVERY_SECOND = _scheduled("noop", Periodic(1, 60, every_s=1.0))
STANDARD = (
    Case("noop", Burst(2_000), n_references=None),
    Case("noop", Paced(1_500, rate_hz=50.0)),
    Case("noop", RoundTrip(700)),
    Case("cpu", Burst(1_000)),
    Case("io", Burst(400)),
    Case("payload", Burst(400)),
    EVERY_SECOND,
)
LATENCY, FAULTS = "latency", "faults"


def _noops(*sizes: int) -> tuple[Case, ...]:
    """Return bursts of several sizes, whose slope is the marginal cost of a task (METHOD M17b)."""
    return tuple(Case("noop", Burst(n), widest=True, slower=10) for n in sizes)


def _grid(tasks_by_us: Mapping[int, int]) -> tuple[Case, ...]:
    """Return bursts of short to long tasks, to find the minimum granularity (METHOD M17c)."""
    return tuple(
        Case("cpu", Burst(n), size=us, widest=True, slower=5 if us <= LONGEST_SHORT_US else 1)
        for us, n in tasks_by_us.items()
    )


LONGEST_SHORT_US = 1_000
SLOTS = (1, 2, 4)
# About two seconds of work for each size, but enough tasks to make the start negligible.
FINE = dict.fromkeys((10, 30, 100, 300, LONGEST_SHORT_US), 2_000)
FINE |= {3_000: 400, 10_000: 200, 30_000: 60, 100_000: 20, 1_000_000: 4}
COARSE = {10: 1_000, 100: 1_000, LONGEST_SHORT_US: 500, 10_000: 60, 100_000: 12, 1_000_000: 4}
# Selected by `--workload NAME`, like a workload. An experiment takes ten to twenty minutes for a
# backend in the standard preset, one or two in quick.
EXPERIMENTS: Mapping[str, Experiment] = {
    "overhead": Experiment(
        "Per-task overhead, in four ways: bursts of 1,000 to 20,000, and tasks of 10 us to 1 s.",
        (*_noops(1_000, 2_000, 5_000, 10_000, 20_000), *_grid(FINE)),
        (*_noops(1_000, 3_000, 10_000), *_grid(COARSE)),
    ),
    "scaling": Experiment(
        "More workers for the same tasks (strong), and for more tasks (weak).",
        (
            Case("cpu", Burst(200), workers=SLOTS),
            Case("cpu", Burst(100), workers=SLOTS, weak=True),
            Case("io", Burst(50), workers=SLOTS),
            Case("mixed", Burst(50), workers=SLOTS),
        ),
        (
            Case("cpu", Burst(80), workers=SLOTS),
            Case("cpu", Burst(40), workers=SLOTS, weak=True),
        ),
    ),
    "periodic": Experiment(
        "Jobs every 1 s, 10 s and minute, 100 at one instant, and jobs longer than their period.",
        (
            EVERY_SECOND,
            _scheduled("noop", Periodic(1, 6, every_s=10.0)),
            _scheduled("noop", Periodic(1, 3, cron=CRON)),
            _scheduled("noop", Periodic(100, 3, cron=CRON)),
            _scheduled("io", Periodic(1, 20, every_s=1.0), size=1_500_000),
        ),
    ),
    "shapes": Experiment(
        "Groups with a join, chains, priorities, and retries at once and after a second.",
        (
            Case("noop", FanOut(200, width=10), widest=True),
            Case("noop", Chain(100, length=5), widest=True),
            Case("io", Priority(45, n_urgent=5), size=20_000, widest=True),
            Case("flaky", Retry(20), widest=True),
            Case("flaky", Retry(20, delay_s=1.0), widest=True),
        ),
    ),
    "payloads": Experiment(
        "Arguments of 1 KiB to 10 MiB.",
        tuple(
            Case("payload", Burst(n_tasks), size=n_bytes, widest=True)
            for n_tasks, n_bytes in (
                *((100, KIB), (100, 16 * KIB), (50, 256 * KIB)),
                *((20, KIB**2), (20, 10 * KIB**2)),
            )
        ),
    ),
    "idle": Experiment(
        "Workers without tasks for five minutes (quick: ten seconds): the cost of waiting.",
        (Case("noop", Idle(300.0), n_references=0),),
    ),
    "memory": Experiment(
        "5,000 tasks of 4 ms: growth of the workers' memory, in ten readings or more.",
        (Case("io", Burst(5_000), size=4_000, n_references=0),),
    ),
    FAULTS: Experiment(
        "Paced tasks of 50 ms, and each fault in turn: what becomes of every task.",
        (
            *(UNDER_FAULTS(fault=of_kind(kind)) for kind in WITH_TASKS),
            *(AS_ONE_CALL(fault=of_kind(kind)) for kind in WITH_TASKS),
            *(JOBS_UNDER_FAULTS(fault=of_kind(kind)) for kind in WITH_JOBS),
            *(BY_THE_MINUTE(fault=of_kind(kind)) for kind in WITH_JOBS),
        ),
    ),
    LATENCY: Experiment(
        "Search for the capacity, then latency at fractions of it and at rates equal for all.",
        (Case("noop", Burst(FIRST_TASKS), widest=True, blocks=1),),
    ),
}
FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.2)
# METHOD M8 has windows of 30 s and a tolerance of 3 %; six backends would take five hours. More
# trials with shorter windows are better: the trial is the unit of statistics.
LOAD_SWEEPS: Mapping[str, LoadSweep] = {
    "quick": LoadSweep((0.3, 0.7, 0.9, 1.2), 1, 1, 1.5, 4.0, 0.15, 3, 1, 10),
    "standard": LoadSweep(FRACTIONS, 5, 1, 4.0, 8.0, 0.05, 6, 3, 20),
    "publish": LoadSweep(FRACTIONS, 10, 3, 10.0, 30.0, 0.03, 8, 3, 200),
}
# The arrivals that `--arrival KIND` accepts, with the first case of each kind. The other kinds
# belong to the probes of `lab claims`.
OFFERED: Mapping[str, Case] = {
    case.arrival.kind: case for case in reversed((*STANDARD, *EXPERIMENTS["shapes"].cases))
}
PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        # Three trials have no interval (METHOD M2): quick shows that all backends work, and orders
        # of magnitude. It reruns no disturbed trial, or five minutes would become nine.
        Preset(
            "quick",
            "Smoke test: up to three blocks, every case, without intervals.",
            3,
            QUICK,
            warmup_per_slot=10,
            deadline_s=30.0,
            reruns=0,
            idle_s=10.0,
            hits=1,
        ),
        Preset(
            "standard",
            "Ten blocks, intervals, all arrivals.",
            10,
            STANDARD,
            warmup_per_slot=200,
            deadline_s=120.0,
            reruns=2,
            idle_s=300.0,
            hits=5,
        ),
        Preset(
            "publish",
            "Twenty blocks, for published figures.",
            20,
            STANDARD,
            warmup_per_slot=200,
            deadline_s=120.0,
            reruns=2,
            idle_s=300.0,
            hits=20,
        ),
    )
}
