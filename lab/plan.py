"""From a selection to seeded blocks of trial specs (METHOD M2-M4), and how long they will take."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab import nominal, registry
from lab.model import (
    Arrival,
    Burst,
    Idle,
    Paced,
    Periodic,
    Rehearsal,
    Retried,
    Service,
    Topology,
    TrialSpec,
)
from lab.obstacles import obstacle
from lab.presets import Cell

# Of work, for each worker slot (METHOD M16).
LONGEST_WARM_UP_S = 5.0
MESSAGE = re.compile(r"((?:raised|pickled:) [\w.]+): .*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a person asked for, every name resolved; `offers` are the provider's servers.

    `references` are labels that nobody asked for and that stand beside those that were, as their
    ceilings; the number is the place at which a system names it, from 0 (METHOD M18).
    Without `workers_per_core`, each cell has its own.
    """

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    cores: tuple[int, ...]
    nodes: tuple[int, ...]
    workers_per_core: tuple[int, ...]
    provider: str
    blocks: int
    seed: int
    warmup_per_slot: int
    deadline_s: float
    quota_cpus: float = 0.0
    offers: frozenset[Service] = frozenset(Service)
    references: Mapping[str, int] = field(default_factory=dict)
    pass_env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skip:
    """A configuration that its backend cannot take, and the sentence why."""

    spec: TrialSpec
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All trials in the order in which they run, and what was left out with its reason."""

    trials: tuple[TrialSpec, ...]
    skips: tuple[Skip, ...]


def make_plan(selection: Selection) -> Plan:
    """Expand a selection: each block holds its configurations once, in a seeded random order.

    Seeds of arrivals and arguments depend on block and cell alone, never on the backend, so a
    block offers the same plan to all (METHOD M4).
    """
    calibrated = list(_calibrate(selection.cells))
    rehearsed = {cell.workload: cell.own for cell in selection.cells}
    cells = {label: _cells_of(selection, label, calibrated) for label in selection.labels}
    cells |= _beside(selection, cells)
    trials: list[TrialSpec] = []
    skips: list[Skip] = []
    for block in range(selection.blocks):
        order = random.Random(f"{selection.seed}/{block}")
        specs = [
            spec
            for label, own in cells.items()
            for one in own
            if block == 0 or not one.cell.once
            for spec in _sweep(selection, label, one, block)
        ]
        specs = list(dict.fromkeys(specs))  # strong and weak scaling may share a trial
        order.shuffle(specs)
        for spec in specs:
            own = rehearsed.get(spec.workload)
            if (reason := obstacle(spec, selection.offers, own)) is None:
                trials.append(spec)
            elif block == 0 and spec.label not in selection.references:
                # Said once: it will not change from block to block.
                skips.append(Skip(spec, reason))
    return Plan(tuple(trials), tuple(skips))


@dataclass(frozen=True, slots=True)
class _Calibrated:
    cell: Cell
    size: int
    nominal_ns: int


def _calibrate(cells: Sequence[Cell]) -> Iterator[_Calibrated]:
    """Turn sizes as typed into the workloads' own unit here, each once for all cells and trials."""
    sizes: dict[tuple[str, int], int] = {}
    for cell in cells:
        if cell.own:
            yield _Calibrated(cell, 0, cell.own.nominal_ns)
            continue
        workload, module = registry.workload(cell.workload)
        typed = workload.default_size if cell.size is None else cell.size
        if (key := (cell.workload, typed)) not in sizes:
            sizes[key] = module.calibrate(typed)
        yield _Calibrated(cell, sizes[key], module.nominal_ns(typed))


def _topologies(selection: Selection, cell: Cell) -> list[Topology]:
    return [
        Topology(nodes, cores, cores * per_core, selection.quota_cpus)
        for nodes in selection.nodes
        for cores in selection.cores
        for per_core in selection.workers_per_core or cell.workers
    ]


def _cells_of(
    selection: Selection, label: str, calibrated: Sequence[_Calibrated]
) -> Sequence[_Calibrated]:
    """Return a backend's cells: of the fallbacks, those before which it can take none."""
    own: list[_Calibrated] = []
    has_one = False
    for one in calibrated:
        if not (one.cell.fallback and has_one):
            own.append(one)
            has_one = has_one or _can_take(selection, label, one)
    return own


def _beside(
    selection: Selection, asked: Mapping[str, Sequence[_Calibrated]]
) -> Mapping[str, Sequence[_Calibrated]]:
    """Return the cells of each reference: those that a system takes and that want its place."""
    taken = dict.fromkeys(
        one for label, own in asked.items() for one in own if _can_take(selection, label, one)
    )
    return {
        label: [one for one in taken if one.cell.ceilings is None or place < one.cell.ceilings]
        for label, place in selection.references.items()
    }


def _sweep(
    selection: Selection, label: str, calibrated: _Calibrated, block: int
) -> Sequence[TrialSpec]:
    """Make a backend's trials of a cell: on every topology, or on the widest that it can have."""
    topologies = _topologies(selection, calibrated.cell)
    specs = [_spec(selection, label, calibrated, each, block) for each in topologies]
    if not calibrated.cell.widest:
        return specs
    possible = [spec for spec in specs if _is_possible(selection, calibrated, spec)]
    return [max(possible or specs, key=_width)]


def _can_take(selection: Selection, label: str, one: _Calibrated) -> bool:
    return any(_is_possible(selection, one, s) for s in _sweep(selection, label, one, block=0))


def _is_possible(selection: Selection, calibrated: _Calibrated, spec: TrialSpec) -> bool:
    return obstacle(spec, selection.offers, calibrated.cell.own) is None


def _width(spec: TrialSpec) -> tuple[int, int]:
    return spec.topology.nodes * spec.topology.cores_per_node, spec.topology.workers


def _spec(
    selection: Selection, label: str, calibrated: _Calibrated, topology: Topology, block: int
) -> TrialSpec:
    chosen = registry.select(label)
    cell = calibrated.cell
    # Drawn from names and numbers, so that adding a backend or a cell changes no other trial.
    arrival = _arrival(cell, topology, has_own_workers=registry.has_own_workers(chosen))
    draw = random.Random(f"{selection.seed}/{block}/{cell.workload}/{arrival!r}")
    # A job's first run, which does not count, is the warm-up of a schedule; and what raises the
    # first time it runs has no run before that.
    warms_up = not isinstance(cell.arrival, Periodic | Retried)
    warmup_tasks = _warm_up(selection, calibrated) * topology.workers * warms_up
    if cell.own or cell.size:  # of tasks that may be long or large, as many as there will be
        warmup_tasks = min(warmup_tasks, arrival.n_tasks)
    return TrialSpec(
        backend=chosen.name,
        variant=chosen.variant,
        profile=chosen.profile,
        workload=cell.workload,
        size=calibrated.size,
        nominal_ns=calibrated.nominal_ns,
        arrival=arrival,
        topology=topology,
        provider=selection.provider,
        block=block,
        seed=draw.getrandbits(31),
        warmup_tasks=warmup_tasks,
        deadline_s=selection.deadline_s,
        pass_env=selection.pass_env,
        **(_of_own(cell.own) if cell.own else {}),
    )


def _of_own(own: Rehearsal) -> dict[str, Any]:
    """Return the fields of a spec that say what a user's function is, and how it is checked."""
    return {
        "answer": own.answer,
        # Without the exception's message: it may be private, and a spec is published as it is.
        "unchecked": MESSAGE.sub(r"\1", own.trouble),
        "check_ns": own.check_ns,
        "is_coroutine": own.is_coroutine,
    }


def _arrival(cell: Cell, topology: Topology, *, has_own_workers: bool) -> Arrival:
    """Return how the tasks of a cell are offered to so many workers of such a system."""
    if not isinstance(cell.arrival, Burst):
        return cell.arrival
    n = cell.arrival.n_tasks * (topology.workers if cell.weak else 1)
    return Burst(n // cell.slower if has_own_workers else n)


def _warm_up(selection: Selection, calibrated: _Calibrated) -> int:
    """Return the warm-up's tasks for each worker slot; long tasks have warmed all there is."""
    longest = round(LONGEST_WARM_UP_S * 1e9 / max(calibrated.nominal_ns, 1))
    return min(selection.warmup_per_slot, max(longest, 1))


# Seconds that a trial takes beside its tasks: processes, verify, quiet, stop, the fixed loop of the
# noise check, its share of the report; containers come on top. And how many no-ops a worker slot
# of a queue does in a second. Measured on two shared cores, over all backends: it only feeds the
# estimate shown before the first trial has been timed.
IN_PROCESS_S, WITH_CLUSTER_S, IN_CONTAINERS_S = 0.9, 3.0, 3.0
TASKS_PER_S = 100.0


def estimate_s(spec: TrialSpec) -> float:
    """Estimate a trial's length in seconds before anything was measured."""
    has_cluster = registry.has_own_workers(registry.select(spec.label))
    fixed = WITH_CLUSTER_S if has_cluster else IN_PROCESS_S
    if spec.provider != "local":
        fixed += IN_CONTAINERS_S
    task_s = spec.nominal_ns / 1e9 + has_cluster / TASKS_PER_S
    warm_up_s = spec.warmup_tasks * task_s / spec.topology.workers
    n = spec.arrival.n_tasks
    if isinstance(spec.arrival, Periodic):
        return fixed + nominal.planned_s(spec.arrival)
    if isinstance(spec.arrival, Idle):
        return fixed + warm_up_s + spec.arrival.seconds
    if isinstance(spec.arrival, Paced):
        return fixed + warm_up_s + n / spec.arrival.rate_hz
    return fixed + warm_up_s + n * task_s / spec.topology.workers


def total_s(trials: Sequence[TrialSpec], seen_s: Mapping[str, Sequence[float]]) -> float:
    """Estimate the length of the remaining trials from the lengths seen so far, by label."""
    seen = {label: sum(lengths) / len(lengths) for label, lengths in seen_s.items()}
    return sum(seen.get(spec.label, estimate_s(spec)) for spec in trials)
