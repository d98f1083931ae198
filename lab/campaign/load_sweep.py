"""What a campaign of latency against load runs next, told from what it has measured (METHOD M8).

A bigger burst where the first was over too soon, then probes, a round of one a site, then the whole
ladder, interleaved over all sites in blocks. Rates depend on results, so these trials are planned
while the campaign runs; the plan is a pure function of the tables, and written down before it runs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lab.analysis.capacity import CEILING_HZ, Capacity, Site, next_rate, rounded
from lab.analysis.statistics import sample_floor
from lab.core.model import Burst, Probe, Service, Step, TrialSpec
from lab.planning.compatibility import obstacle
from lab.planning.plan import Plan, Skip, estimate_s
from lab.planning.presets import BURST_S, FIRST_TASKS, Ladder

WORKLOAD = "noop"
MOST_TASKS = 40_000
# Half of what the slowest sustains is a rate that all can be asked.
EQUAL_OF_SLOWEST = 0.5
MOST_OVERLOAD = 1.2
# A search seldom asks all rates that it may, and seldom one of them a third time.
TYPICAL_RATES, TYPICAL_REPEATS = 5, 2


def next_stage(ladder: Ladder, seed: int, plan: Plan, found: Mapping[Site, Capacity]) -> Plan:
    """Return the trials that are to run next, and what is left out; both empty at the end.

    Args:
        ladder: How thorough the campaign is.
        seed: The campaign's.
        plan: Everything that was planned so far, all of which has run.
        found: What is known of each site by now.
    """
    sites = _bases(plan)
    wanted = [
        spec
        for site, base in sites.items()
        if (spec := _next_of(ladder, seed, plan, base, found.get(site, Capacity(None))))
    ]
    if not wanted and not any(isinstance(spec.arrival, Step) for spec in plan.trials):
        known = {site: found[site] for site in sites if site in found}
        return _ladder(ladder, seed, sites, known)
    trials, skips = [], []
    for spec in wanted:
        reason = obstacle(spec, frozenset(Service))
        if reason is None:
            trials.append(spec)
        else:
            skips.append(Skip(spec, reason))
    random.Random(f"{seed}/{len(plan.trials)}").shuffle(trials)
    return Plan(tuple(trials), tuple(skips))


def site_of(spec: TrialSpec) -> Site:
    """Return the site of a trial, as `lab.analysis.capacity` names it."""
    topology = spec.topology
    return (
        *(spec.label, spec.workload, spec.size, spec.provider),
        *(topology.nodes, topology.cores_per_node, topology.workers_per_node, topology.quota_cpus),
    )


def _bases(plan: Plan) -> dict[Site, TrialSpec]:
    """Return of each site the burst that came first; one that was left out before is none."""
    left_out = {site_of(skip.spec) for skip in plan.skips if isinstance(skip.spec.arrival, Probe)}
    bases: dict[Site, TrialSpec] = {}
    for spec in plan.trials:
        is_base = isinstance(spec.arrival, Burst) and spec.workload == WORKLOAD
        if is_base and not spec.block and site_of(spec) not in left_out:
            bases.setdefault(site_of(spec), spec)
    return bases


def _next_of(
    ladder: Ladder, seed: int, plan: Plan, base: TrialSpec, known: Capacity
) -> TrialSpec | None:
    """Return the next trial of the search at one site, None where it has ended."""
    own = [spec for spec in plan.trials if site_of(spec) == site_of(base)]
    bursts = [spec.arrival.n_tasks for spec in own if isinstance(spec.arrival, Burst)]
    bigger = round(min(MOST_TASKS, BURST_S * (known.saturation_hz or 0)))
    if max(bursts) == base.arrival.n_tasks and bigger >= 2 * base.arrival.n_tasks:
        return replace(base, arrival=Burst(bigger))
    probes = sum(isinstance(spec.arrival, Probe) for spec in own)
    rate = next_rate(known, ladder)
    if rate is None or probes >= ladder.repeats * ladder.most_rates:
        return None
    # Evenly paced: what is asked is a rate, and chance in the arrivals would only blur the answer.
    arrival = Probe(tasks_at(rate, ladder), rate, "uniform")
    return _derived(base, arrival, probes, f"{seed}/probe/{probes}", ladder)


def _derived(
    base: TrialSpec, arrival: Probe | Step, block: int, seed: str, ladder: Ladder
) -> TrialSpec:
    # Drawn from the step alone: all labels get the same gaps, stretched to their rates (METHOD M4).
    return replace(
        base,
        arrival=arrival,
        block=block,
        seed=random.Random(seed).getrandbits(31),
        warmup_tasks=ladder.warmup_per_slot * base.topology.workers,
    )


def tasks_at(rate_hz: float, ladder: Ladder) -> int:
    """Return how many tasks a window holds: as long as planned, or longer for a percentile."""
    n, reach = rate_hz * ladder.window_s, rate_hz * ladder.longest_s
    for q in (90, 99):
        if n < sample_floor(q) <= reach:
            n = sample_floor(q)
    fewest = max(sample_floor(50), min(sample_floor(90), reach))
    return round(min(MOST_TASKS, max(n, fewest)))


def _ladder(
    ladder: Ladder, seed: int, sites: Mapping[Site, TrialSpec], found: Mapping[Site, Capacity]
) -> Plan:
    """Plan every block of the ladder, for the sites whose sustainable rate is known."""
    sustained = {site: own for site, known in found.items() if (own := known.sustained_hz)}
    equal = equal_rates(ladder, list(sustained.values()))
    trials: list[TrialSpec] = []
    skips: list[Skip] = []
    for block in range(ladder.blocks):
        order = random.Random(f"{seed}/ladder/{block}")
        specs = []
        for site, own in sustained.items():
            for rate, key in _rates(ladder, own, equal):
                arrival = Step(tasks_at(rate, ladder), rate, ladder.gaps)
                spec = _derived(sites[site], arrival, block, f"{seed}/{block}/{key}", ladder)
                if rate <= min(CEILING_HZ, rounded(MOST_OVERLOAD * own)):
                    specs.append(spec)
                elif block == 0:
                    skips.append(Skip(spec, _beyond(spec, rate, own, found[site].bound)))
        order.shuffle(specs)
        trials += specs
    return Plan(tuple(trials), tuple(skips))


def _rates(ladder: Ladder, own: float, equal: Sequence[float]) -> Iterator[tuple[float, str]]:
    fractions = {rounded(share * own): f"{share:g}" for share in ladder.fractions}
    yield from fractions.items()
    yield from ((rate, f"{rate:g}/s") for rate in equal if rate not in fractions)


def equal_rates(ladder: Ladder, sustained: Sequence[float]) -> list[float]:
    """Return the rates that all are offered: the one asked for, or from half the slowest's up."""
    if ladder.rate_hz:
        return [ladder.rate_hz]
    if len(sustained) < 2:  # noqa: PLR2004 (nobody to be equal to)
        return []
    ends = (EQUAL_OF_SLOWEST * min(sustained), EQUAL_OF_SLOWEST * max(sustained))
    return [rounded(float(rate)) for rate in np.geomspace(*ends, ladder.equal_rates)]


def _beyond(spec: TrialSpec, rate: float, own: float, bound: str) -> str:
    if rate <= rounded(MOST_OVERLOAD * own):
        return f"{rate:g} tasks/s is more than the {CEILING_HZ:g} that anybody is asked for."
    return (
        f"{rate:g} tasks/s is {rate / own:.3g} times what {spec.label} was seen to sustain "
        f"({bound}{own:g}/s): its latency would tell how long the window was."
    )


def forecast(ladder: Ladder, plan: Plan) -> tuple[int, int, float]:
    """Estimate what follows a first stage: probes, steps of the ladder, and seconds of all that."""
    bases = _bases(plan).values()
    rates = min(TYPICAL_RATES, ladder.most_rates)
    probes = rates * min(TYPICAL_REPEATS, ladder.repeats)
    equal = 1 if ladder.rate_hz else ladder.equal_rates * (len(bases) > 1)
    steps = ladder.blocks * (len(ladder.fractions) + equal)
    window = Step(FIRST_TASKS, FIRST_TASKS / ladder.window_s)
    seconds = sum(
        (probes + steps) * estimate_s(_derived(base, window, 0, "", ladder)) for base in bases
    )
    return probes * len(bases), steps * len(bases), seconds
