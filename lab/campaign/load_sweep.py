"""Plans the next trials of a campaign of latency against load, from its results (METHOD M8).

The order is: a bigger burst where the first was too short, then probes, one per site in each round,
then all load levels, interleaved over all sites in blocks. The rates depend on results, so these
trials are planned while the campaign runs. The plan is a pure function of the tables, and is saved
before it runs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lab.analysis.capacity import HIGHEST_RATE_HZ, Capacity, CellKey, next_rate, rounded
from lab.analysis.statistics import sample_floor
from lab.campaign.estimate import estimate_s
from lab.core.cell import SITE, cell_of_spec
from lab.core.model import Burst, LoadLevel, RateProbe, Service, TrialSpec
from lab.planning.compatibility import unsupported_reason
from lab.planning.plan import Plan, Skip
from lab.planning.presets import BURST_S, FIRST_TASKS, LoadSweep

WORKLOAD = "noop"
MOST_TASKS = 40_000
# Half of the rate that the slowest site sustains is a rate that every site can take.
EQUAL_OF_SLOWEST = 0.5
MOST_OVERLOAD = 1.2
# A search seldom probes all rates that it may, and seldom probes a rate a third time.
TYPICAL_RATES, TYPICAL_REPEATS = 5, 2


def next_stage(
    sweep: LoadSweep, seed: int, plan: Plan, capacities: Mapping[CellKey, Capacity]
) -> Plan:
    """Return the trials to run next and those to skip; both are empty at the end.

    Args:
        sweep: The size of the campaign.
        seed: The seed of the campaign.
        plan: All trials that were planned before; all of them have run.
        capacities: The results of each site so far.
    """
    sites = _bases(plan)
    wanted = [
        spec
        for site, base in sites.items()
        if (spec := _next_of(sweep, seed, plan, base, capacities.get(site, Capacity(None))))
    ]
    if not wanted and not any(isinstance(spec.arrival, LoadLevel) for spec in plan.trials):
        known = {site: capacities[site] for site in sites if site in capacities}
        return _load_levels(sweep, seed, sites, known)
    trials, skips = [], []
    for spec in wanted:
        reason = unsupported_reason(spec, frozenset(Service))
        if reason is None:
            trials.append(spec)
        else:
            skips.append(Skip(spec, reason))
    # The number of trials differs in each round, and is the same in a resumed campaign.
    random.Random(f"{seed}/{len(plan.trials)}").shuffle(trials)
    return Plan(tuple(trials), tuple(skips))


def cell_key_of(spec: TrialSpec) -> CellKey:
    """Return the site of a trial, as `lab.analysis.capacity` names it."""
    cell = cell_of_spec(spec)
    return tuple(getattr(cell, name) for name in SITE)


def _bases(plan: Plan) -> dict[CellKey, TrialSpec]:
    """Return the first burst of each site, without sites whose probes were skipped before."""
    skipped = {
        cell_key_of(skip.spec) for skip in plan.skips if isinstance(skip.spec.arrival, RateProbe)
    }
    bases: dict[CellKey, TrialSpec] = {}
    for spec in plan.trials:
        is_base = isinstance(spec.arrival, Burst) and spec.workload == WORKLOAD
        if is_base and not spec.block and cell_key_of(spec) not in skipped:
            bases.setdefault(cell_key_of(spec), spec)
    return bases


def _next_of(
    sweep: LoadSweep, seed: int, plan: Plan, base: TrialSpec, known: Capacity
) -> TrialSpec | None:
    """Return the next trial of the search at one site; None if the search has ended."""
    specs = [spec for spec in plan.trials if cell_key_of(spec) == cell_key_of(base)]
    bursts = [spec.arrival.n_tasks for spec in specs if isinstance(spec.arrival, Burst)]
    bigger = round(min(MOST_TASKS, BURST_S * (known.saturation_hz or 0)))
    if max(bursts) == base.arrival.n_tasks and bigger >= 2 * base.arrival.n_tasks:
        return replace(base, arrival=Burst(bigger))
    probes = sum(isinstance(spec.arrival, RateProbe) for spec in specs)
    rate = next_rate(known, sweep)
    if rate is None or probes >= sweep.repeats * sweep.most_rates:
        return None
    # Evenly paced: a probe tests a rate, and random arrivals would only add noise.
    arrival = RateProbe(tasks_at(rate, sweep), rate, "uniform")
    return _derived(base, arrival, probes, f"{seed}/probe/{probes}", sweep)


def _derived(
    base: TrialSpec, arrival: RateProbe | LoadLevel, block: int, seed: str, sweep: LoadSweep
) -> TrialSpec:
    # Seeded by the load level alone: all labels get the same gaps, scaled to their rates (M4).
    return replace(
        base,
        arrival=arrival,
        block=block,
        seed=random.Random(seed).getrandbits(31),
        warmup_tasks=sweep.warmup_per_slot * base.topology.workers,
    )


def tasks_at(rate_hz: float, sweep: LoadSweep) -> int:
    """Return the number of tasks in a window: the planned length, or longer for a percentile."""
    n, reach = rate_hz * sweep.window_s, rate_hz * sweep.longest_s
    for q in (90, 99):
        if n < sample_floor(q) <= reach:
            n = sample_floor(q)
    fewest = max(sample_floor(50), min(sample_floor(90), reach))
    return round(min(MOST_TASKS, max(n, fewest)))


def _load_levels(
    sweep: LoadSweep,
    seed: int,
    sites: Mapping[CellKey, TrialSpec],
    capacities: Mapping[CellKey, Capacity],
) -> Plan:
    """Plan the load levels of all blocks, for the sites whose sustainable rate is known."""
    sustained = {site: rate for site, known in capacities.items() if (rate := known.sustained_hz)}
    equal = equal_rates(sweep, list(sustained.values()))
    trials: list[TrialSpec] = []
    skips: list[Skip] = []
    for block in range(sweep.blocks):
        rng = random.Random(f"{seed}/ladder/{block}")
        specs = []
        for site, sustained_hz in sustained.items():
            for rate, key in _rates(sweep, sustained_hz, equal):
                arrival = LoadLevel(tasks_at(rate, sweep), rate, sweep.gaps)
                spec = _derived(sites[site], arrival, block, f"{seed}/{block}/{key}", sweep)
                if rate <= min(HIGHEST_RATE_HZ, rounded(MOST_OVERLOAD * sustained_hz)):
                    specs.append(spec)
                elif block == 0:
                    reason = _beyond(spec, rate, sustained_hz, capacities[site].bound)
                    skips.append(Skip(spec, reason))
        rng.shuffle(specs)
        trials += specs
    return Plan(tuple(trials), tuple(skips))


def _rates(
    sweep: LoadSweep, sustained_hz: float, equal: Sequence[float]
) -> Iterator[tuple[float, str]]:
    fractions = {rounded(share * sustained_hz): f"{share:g}" for share in sweep.fractions}
    yield from fractions.items()
    # A rate that is also a fraction would be measured twice in a block.
    yield from ((rate, f"{rate:g}/s") for rate in equal if rate not in fractions)


def equal_rates(sweep: LoadSweep, sustained: Sequence[float]) -> list[float]:
    """Return the rates offered to all sites: the rate of the user, or from half the slowest up."""
    if sweep.rate_hz:
        return [sweep.rate_hz]
    if len(sustained) < 2:  # noqa: PLR2004 (a single site has no other to compare with)
        return []
    ends = (EQUAL_OF_SLOWEST * min(sustained), EQUAL_OF_SLOWEST * max(sustained))
    return [rounded(float(rate)) for rate in np.geomspace(*ends, sweep.equal_rates)]


def _beyond(spec: TrialSpec, rate: float, sustained_hz: float, bound: str) -> str:
    if rate <= rounded(MOST_OVERLOAD * sustained_hz):
        return f"{rate:g} tasks/s is more than the highest rate of any trial, {HIGHEST_RATE_HZ:g}."
    return (
        f"{rate:g} tasks/s is {rate / sustained_hz:.3g} times the sustainable rate of {spec.label} "
        f"({bound}{sustained_hz:g}/s): the latency would depend on the length of the window."
    )


def forecast(sweep: LoadSweep, plan: Plan) -> tuple[int, int, float]:
    """Estimate the trials after the first stage: probes, load levels, and seconds of both."""
    bases = _bases(plan).values()
    rates = min(TYPICAL_RATES, sweep.most_rates)
    probes = rates * min(TYPICAL_REPEATS, sweep.repeats)
    equal = 1 if sweep.rate_hz else sweep.equal_rates * (len(bases) > 1)
    steps = sweep.blocks * (len(sweep.fractions) + equal)
    window = LoadLevel(FIRST_TASKS, FIRST_TASKS / sweep.window_s)
    seconds = sum(
        (probes + steps) * estimate_s(_derived(base, window, 0, "", sweep)) for base in bases
    )
    return probes * len(bases), steps * len(bases), seconds


def later_stages_s(sweep: LoadSweep, plan: Plan) -> float:
    """Estimate the seconds of the trials that are still planned from results."""
    arrivals = [spec.arrival for spec in plan.trials]
    return 0.0 if any(isinstance(a, LoadLevel) for a in arrivals) else forecast(sweep, plan)[2]
