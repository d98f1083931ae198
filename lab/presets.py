"""How big a campaign is: the presets, and what can be asked for by one name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from lab.model import (
    Arrival,
    Burst,
    Chained,
    FanOut,
    Idle,
    Paced,
    Periodic,
    Ranked,
    Rehearsal,
    Retried,
    RoundTrip,
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A workload at one size, and how its tasks are offered; size None means its default.

    A `widest` cell leaves the sweep to others: of the topologies, it takes the widest that a
    backend can have. One that comes `once` is in the first block only. A `fallback` is for the
    backends that can take none of the cells before it. The tasks of a `weak` cell are for each
    worker. Of systems with workers of their own it has `slower` times fewer: a server stands
    between, and as many tasks would take as much longer. `workers` are the worker slots of a core
    that it is about, unless others are asked for. `own` is what a rehearsal showed of a function of
    the user's own. `ceilings` is how many references take it beside each system, first the plain
    call, then those that the system names, in its order; None means all.
    """

    workload: str
    arrival: Arrival
    size: int | None = None
    widest: bool = False
    once: bool = False
    fallback: bool = False
    own: Rehearsal | None = None
    ceilings: int | None = 2
    weak: bool = False
    slower: int = 1
    workers: tuple[int, ...] = (1,)


@dataclass(frozen=True, slots=True)
class Group:
    """Cells that belong to one question, and fewer for the preset quick if they take long."""

    summary: str
    cells: tuple[Cell, ...]
    quick: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class Preset:
    """How big a campaign is. `warmup_per_slot` is in tasks per worker slot (METHOD M16).

    `idle_s` is how long its idle windows are (METHOD M25).
    """

    name: str
    summary: str
    blocks: int
    cells: tuple[Cell, ...]
    warmup_per_slot: int
    deadline_s: float
    reruns: int
    idle_s: float


FIRST_TASKS, BURST_S = 300, 1.5


@dataclass(frozen=True, slots=True)
class Ladder:
    """How thoroughly latency is measured against load (METHOD M6-M8).

    First bursts tell the rate of saturation: one of `FIRST_TASKS`, and where that was over too
    soon one of `BURST_S` seconds. Then probes search the rate that can be sustained, until it is
    known within `tolerance` or `most_rates` were asked, each until most of `repeats` probes agree.
    Then, in each of `blocks` blocks, every one of `fractions` of that rate is a trial, and so are
    `equal_rates` rates that are the same for all, or `rate_hz` where somebody asks for it.
    A window is `window_s` long; where that holds too few tasks for a percentile, it is longer, up
    to `longest_s`.
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


CRON = "* * * * *"
KIB = 1024
# Too long to be asked for more than once: in the first block only, and beside it every reference.
_scheduled = partial(Cell, widest=True, once=True, ceilings=None)
# Five minutes on two cores for everything there is. 64 tasks are the fewest that have a p90.
QUICK = (
    Cell("noop", Burst(100), widest=True),
    Cell("noop", Paced(64, rate_hz=50.0), widest=True, once=True, ceilings=0),
    Cell("cpu", Burst(40), once=True, ceilings=1),
    _scheduled("noop", Periodic(1, 4, every_s=1.0), fallback=True),
    # The line above tells the floor of schedules: here it would wait a minute for no more.
    _scheduled("noop", Periodic(1, 1, cron=CRON), fallback=True, ceilings=0),
)
EVERY_SECOND = _scheduled("noop", Periodic(1, 60, every_s=1.0))
STANDARD = (
    Cell("noop", Burst(2_000), ceilings=None),
    Cell("noop", Paced(1_500, rate_hz=50.0)),
    Cell("noop", RoundTrip(700)),
    Cell("cpu", Burst(400)),
    Cell("io", Burst(400)),
    Cell("payload", Burst(400)),
    EVERY_SECOND,
)
LATENCY = "latency"


def _noops(*sizes: int) -> tuple[Cell, ...]:
    """Bursts of several sizes, from which the cost of one more task follows (METHOD M17b)."""
    return tuple(Cell("noop", Burst(n), widest=True, slower=10) for n in sizes)


def _grid(tasks_by_us: Mapping[int, int]) -> tuple[Cell, ...]:
    """Tasks from short to long, of which the first that is worth it is sought (METHOD M17c)."""
    return tuple(
        Cell("cpu", Burst(n), size=us, widest=True, slower=5 if us <= LONGEST_SHORT_US else 1)
        for us, n in tasks_by_us.items()
    )


LONGEST_SHORT_US = 1_000
SLOTS = (1, 2, 4)
# About two seconds of work for each size, but enough tasks that their start does not matter.
FINE = dict.fromkeys((10, 30, 100, 300, LONGEST_SHORT_US), 2_000)
FINE |= {3_000: 400, 10_000: 200, 30_000: 60, 100_000: 20, 1_000_000: 4}
COARSE = {10: 1_000, 100: 1_000, LONGEST_SHORT_US: 500, 10_000: 60, 100_000: 12, 1_000_000: 4}
# What can be asked for by one name, as if it were a workload; in standard ten to twenty minutes for
# a backend, in quick one or two.
GROUPS: Mapping[str, Group] = {
    "overhead": Group(
        "What a task costs, four ways: bursts of 1,000 to 20,000, and tasks of 10 us to 1 s.",
        (*_noops(1_000, 2_000, 5_000, 10_000, 20_000), *_grid(FINE)),
        (*_noops(1_000, 3_000, 10_000), *_grid(COARSE)),
    ),
    "scaling": Group(
        "More workers for the same tasks (strong), and with more tasks for more workers (weak).",
        (
            Cell("cpu", Burst(200), workers=SLOTS),
            Cell("cpu", Burst(100), workers=SLOTS, weak=True),
            Cell("io", Burst(50), workers=SLOTS),
            Cell("mixed", Burst(50), workers=SLOTS),
        ),
        (
            Cell("cpu", Burst(80), workers=SLOTS),
            Cell("cpu", Burst(40), workers=SLOTS, weak=True),
        ),
    ),
    "periodic": Group(
        "Jobs every 1 s and 10 s, each minute, 100 at one instant, and longer than their period.",
        (
            EVERY_SECOND,
            _scheduled("noop", Periodic(1, 6, every_s=10.0)),
            _scheduled("noop", Periodic(1, 3, cron=CRON)),
            _scheduled("noop", Periodic(100, 3, cron=CRON)),
            _scheduled("io", Periodic(1, 20, every_s=1.0), size=1_500_000),
        ),
    ),
    "shapes": Group(
        "Groups and their join, chains, priorities, retries at once and after a second.",
        (
            Cell("noop", FanOut(200, width=10), widest=True),
            Cell("noop", Chained(100, length=5), widest=True),
            Cell("io", Ranked(45, n_urgent=5), size=20_000, widest=True),
            Cell("flaky", Retried(20), widest=True),
            Cell("flaky", Retried(20, delay_s=1.0), widest=True),
        ),
    ),
    "payloads": Group(
        "Arguments of 1 KiB to 10 MiB.",
        tuple(
            Cell("payload", Burst(n_tasks), size=n_bytes, widest=True)
            for n_tasks, n_bytes in (
                *((100, KIB), (100, 16 * KIB), (50, 256 * KIB)),
                *((20, KIB**2), (20, 10 * KIB**2)),
            )
        ),
    ),
    "idle": Group(
        "Nothing to do for five minutes, in the quick preset for ten seconds: what waiting costs.",
        (Cell("noop", Idle(300.0), ceilings=0),),
    ),
    "memory": Group(
        "5,000 tasks of 4 ms: ten readings of two workers' memory or more, and whether it grows.",
        (Cell("io", Burst(5_000), size=4_000, ceilings=0),),
    ),
    LATENCY: Group(
        "Capacity by search, then latency at fractions of it and at rates equal for all.",
        (Cell("noop", Burst(FIRST_TASKS), widest=True, once=True),),
    ),
}
FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.2)
# METHOD M8 has windows of 30 s and 3 %, of which six systems would take five hours. Shorter windows
# in more trials tell more: the trial is the unit of statistics.
LADDERS: Mapping[str, Ladder] = {
    "quick": Ladder((0.3, 0.7, 0.9, 1.2), 1, 1, 1.5, 4.0, 0.15, 3, 1, 10),
    "standard": Ladder(FRACTIONS, 5, 1, 2.0, 8.0, 0.05, 6, 3, 20),
    "publish": Ladder(FRACTIONS, 10, 3, 10.0, 30.0, 0.03, 8, 3, 200),
}
# What can be asked for by its kind, and is then offered as here it is first; the other arrivals
# belong to the probes of `lab claims`.
OFFERED: Mapping[str, Cell] = {
    cell.arrival.kind: cell for cell in reversed((*STANDARD, *GROUPS["shapes"].cells))
}
PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        # Three trials carry no interval (METHOD M2): quick shows that all works, and the order of
        # magnitude. What the machine disturbed is not run again, or five minutes would be nine.
        Preset(
            "quick", "Smoke: every question asked once, no intervals.", 3, QUICK, 10, 30.0, 0, 10.0
        ),
        Preset(
            "standard", "Ten blocks, intervals, all arrivals.", 10, STANDARD, 200, 120.0, 2, 300.0
        ),
        Preset(
            "publish", "Twenty blocks for figures that travel.", 20, STANDARD, 200, 120.0, 2, 300.0
        ),
    )
}
