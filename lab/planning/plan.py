"""Expands a selection into seeded blocks of trials, and estimates their time (METHOD M2-M4)."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lab.core.faults import Fault, FaultKind
from lab.core.model import Arrival, Burst, Periodic, Retry, Service, Topology, TrialSpec
from lab.core.preflight import PreflightResult
from lab.planning import redelivery, registry
from lab.planning.compatibility import unsupported_reason
from lab.planning.presets import Case

# Seconds of work per worker slot (METHOD M16).
LONGEST_WARM_UP_S = 0.5
MESSAGE = re.compile(r"((?:raised|pickled:) [\w.]+): .*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Selection:
    """The selection of a campaign, with every name resolved.

    workers_per_core: worker slots per core; empty: each case has its default.
    offers: servers that the provider can start.
    is_on_host, shares_files: those of the provider's class (`lab.core.provider.Cluster`).
    fault_lacks: why the provider cannot do a kind of fault, for each such kind.
    references: labels that run in addition, as references of `labels`; the value is the smallest
        index at which a backend lists the reference (METHOD M18).
    environments: texts of the environments of each label; a missing label runs in that of the lab.
    """

    labels: tuple[str, ...]
    cases: tuple[Case, ...]
    cores: tuple[int, ...]
    nodes: tuple[int, ...]
    workers_per_core: tuple[int, ...]
    provider: str
    blocks: int
    seed: int
    warmup_per_slot: int
    deadline_s: float
    quota_cpus: float = 0.0
    drivers: int = 1
    offers: frozenset[Service] = frozenset(Service)
    is_on_host: bool = True
    shares_files: bool = True
    fault_lacks: Mapping[FaultKind, str] = field(default_factory=dict)
    references: Mapping[str, int] = field(default_factory=dict)
    pass_env: tuple[str, ...] = ()
    environments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def environments_of(self, label: str) -> tuple[str, ...]:
        """Return the environments in which a label runs."""
        return self.environments.get(label, ("",))


@dataclass(frozen=True, slots=True)
class Skip:
    """A configuration that its backend does not support, with the reason as a sentence."""

    spec: TrialSpec
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All trials in the order in which they run, and the skipped configurations."""

    trials: tuple[TrialSpec, ...]
    skips: tuple[Skip, ...]


def make_plan(selection: Selection) -> Plan:
    """Expand a selection into blocks of all its configurations, each in a seeded random order.

    Seeds of arrivals and arguments depend on block and case, not on the backend, so that a block
    offers the same tasks at the same instants to all backends (METHOD M4).
    """
    calibrated = list(_calibrate(selection.cases))
    preflights = {case.workload: case.preflight for case in selection.cases}
    cases = {label: _cases_of(selection, label, calibrated) for label in selection.labels}
    cases |= _of_references(selection, cases)
    trials: list[TrialSpec] = []
    skips: list[Skip] = []
    # Two cases may share a trial, such as strong and weak scaling.
    for spec in dict.fromkeys(_in_order(selection, cases)):
        reason = _unsupported_reason(selection, spec, preflights.get(spec.workload))
        if reason is None:
            trials.append(spec)
        # A reference is not the user's selection: it is reported as missing (METHOD M18).
        elif spec.block == 0 and spec.label not in selection.references:
            skips.append(Skip(spec, reason))  # the reason is the same in every block
    return Plan(tuple(trials), tuple(_once(trials, skips)))


def _in_order(
    selection: Selection, cases: Mapping[str, Sequence[_CalibratedCase]]
) -> Iterator[TrialSpec]:
    """Yield the trials of each block in random order, then those of cases that run only once.

    The latter take minutes and belong to block 0; as a part of it they would delay the first
    results.
    """
    blocks = [(block, False) for block in range(selection.blocks)]
    for block, is_once in [*blocks, (0, True)]:
        specs = [
            replace(spec, environment=environment)
            for label, cases_of_label in cases.items()
            for calibrated_case in cases_of_label
            if (calibrated_case.case.blocks == 1) is is_once
            and block < (calibrated_case.case.blocks or selection.blocks)
            for spec in _sweep(selection, label, calibrated_case, block)
            for environment in selection.environments_of(label)
        ]
        # Otherwise a drift of the machine would be attributed to the systems (METHOD M3).
        random.Random(f"{selection.seed}/{block}{'/once' if is_once else ''}").shuffle(specs)
        yield from specs


def _once(trials: Sequence[TrialSpec], skips: Sequence[Skip]) -> Iterator[Skip]:
    """Yield the skips; of those with the same fault, the first, and none if a trial has it."""
    covered = {(spec.label, spec.environment, spec.fault) for spec in trials}
    for skip in skips:
        key = (skip.spec.label, skip.spec.environment, skip.spec.fault)
        if skip.spec.fault is None or key not in covered:
            yield skip
            covered.add(key)


@dataclass(frozen=True, slots=True)
class _CalibratedCase:
    case: Case
    size: int
    nominal_ns: int


def _calibrate(cases: Sequence[Case]) -> Iterator[_CalibratedCase]:
    """Calibrate the size of each case on this machine, once for each workload and typed size."""
    sizes: dict[tuple[str, int], int] = {}
    for case in cases:
        if case.preflight:
            yield _CalibratedCase(case, 0, case.preflight.nominal_ns)
            continue
        workload, module = registry.workload(case.workload)
        typed = workload.default_size if case.size is None else case.size
        # A second calibration may differ, and cases of one typed size must have the same work.
        if (key := (case.workload, typed)) not in sizes:
            sizes[key] = module.calibrate(typed)
        yield _CalibratedCase(case, sizes[key], module.nominal_ns(typed))


def _topologies(selection: Selection, case: Case) -> list[Topology]:
    return [
        Topology(nodes, cores, cores * per_core, selection.quota_cpus, selection.drivers)
        for nodes in selection.nodes
        for cores in selection.cores
        for per_core in selection.workers_per_core or case.workers
    ]


def _cases_of(
    selection: Selection, label: str, calibrated: Sequence[_CalibratedCase]
) -> Sequence[_CalibratedCase]:
    """Return a backend's cases, without the fallbacks after the first case that it supports."""
    chosen: list[_CalibratedCase] = []
    supported = set[Fault | None]()
    for calibrated_case in calibrated:
        case = calibrated_case.case
        if not (case.fallback and case.fault in supported):
            chosen.append(calibrated_case)
            if case.fault not in supported and _can_take(selection, label, calibrated_case):
                supported.add(case.fault)
    return chosen


def _of_references(
    selection: Selection, cases: Mapping[str, Sequence[_CalibratedCase]]
) -> Mapping[str, Sequence[_CalibratedCase]]:
    """Return the cases of each reference: those that a selected backend supports.

    A case with `n_references` takes only that many references, in the order of the list.
    """
    supported = dict.fromkeys(
        calibrated_case
        for label, cases_of_label in cases.items()
        for calibrated_case in cases_of_label
        if _can_take(selection, label, calibrated_case)
    )
    return {
        label: [
            calibrated_case
            for calibrated_case in supported
            if calibrated_case.case.n_references is None
            or place < calibrated_case.case.n_references
        ]
        for label, place in selection.references.items()
    }


def _sweep(
    selection: Selection, label: str, calibrated: _CalibratedCase, block: int
) -> Sequence[TrialSpec]:
    """Return a backend's trials of a case: on every topology, or on the widest supported one."""
    topologies = _topologies(selection, calibrated.case)
    specs = [_spec(selection, label, calibrated, each, block) for each in topologies]
    possible = [spec for spec in specs if _is_possible(selection, calibrated, spec)]
    if label in selection.references and not possible:
        # The plain call has one worker slot, and bounds systems with several, too (METHOD M18).
        return [_spec(selection, label, calibrated, Topology(1, 1, 1), block)]
    if not calibrated.case.widest:
        return specs
    # An impossible trial is kept, because its skip has the reason.
    return [max(possible or specs, key=_width)]


def _can_take(selection: Selection, label: str, calibrated: _CalibratedCase) -> bool:
    specs = _sweep(selection, label, calibrated, block=0)
    return any(_is_possible(selection, calibrated, spec) for spec in specs)


def _is_possible(selection: Selection, calibrated: _CalibratedCase, spec: TrialSpec) -> bool:
    return _unsupported_reason(selection, spec, calibrated.case.preflight) is None


def _unsupported_reason(
    selection: Selection, spec: TrialSpec, preflight: PreflightResult | None
) -> str | None:
    if spec.fault and (lack := selection.fault_lacks.get(spec.fault.kind)):
        return f"Provider {spec.provider} cannot do the fault: {lack}."
    places = {"is_on_host": selection.is_on_host, "shares_files": selection.shares_files}
    return unsupported_reason(spec, selection.offers, preflight, **places)


def _width(spec: TrialSpec) -> tuple[int, int]:
    return spec.topology.nodes * spec.topology.cores_per_node, spec.topology.workers


def _spec(
    selection: Selection, label: str, calibrated: _CalibratedCase, topology: Topology, block: int
) -> TrialSpec:
    chosen = registry.select(label)
    case = calibrated.case
    # Seeded by names and numbers, so that a new backend or case changes no other trial.
    arrival = _arrival(case, topology, has_worker_processes=registry.has_worker_processes(chosen))
    draw = random.Random(f"{selection.seed}/{block}/{case.workload}/{arrival!r}")
    # The warm-up of a periodic job is its first firing, which is not measured. A task that raises
    # on its first execution must not be executed before the window.
    warms_up = not isinstance(case.arrival, Periodic | Retry)
    warmup_tasks = _warm_up(selection, calibrated) * topology.workers * warms_up
    if case.preflight or case.size:  # long or large tasks: no more than in the window
        warmup_tasks = min(warmup_tasks, arrival.n_tasks)
    return TrialSpec(
        backend=chosen.name,
        variant=chosen.variant,
        profile=chosen.profile,
        workload=case.workload,
        size=calibrated.size,
        nominal_ns=calibrated.nominal_ns,
        arrival=arrival,
        topology=topology,
        provider=selection.provider,
        block=block,
        seed=draw.getrandbits(31),
        warmup_tasks=warmup_tasks,
        deadline_s=redelivery.deadline_s(chosen, case.fault, selection.deadline_s),
        pass_env=selection.pass_env,
        fault=case.fault,
        **(_of_user_function(case.preflight) if case.preflight else {}),
    )


def _of_user_function(preflight: PreflightResult) -> dict[str, Any]:
    """Return the fields of a spec that describe a user's function and the check of its answers."""
    return {
        "answer": preflight.answer,
        # Without the exception's message, which may be private: specs are published.
        "unchecked": MESSAGE.sub(r"\1", preflight.unchecked),
        "check_ns": preflight.check_ns,
        "is_coroutine": preflight.is_coroutine,
        "is_uncertain": bool(preflight.nominal_ns and preflight.uncertainty),
    }


def _arrival(case: Case, topology: Topology, *, has_worker_processes: bool) -> Arrival:
    """Return the arrival of a case; a burst's size depends on the workers and on their kind."""
    if not isinstance(case.arrival, Burst):
        return case.arrival
    n = case.arrival.n_tasks * (topology.workers if case.weak else 1)
    return Burst(n // case.slower if has_worker_processes else n)


def _warm_up(selection: Selection, calibrated: _CalibratedCase) -> int:
    """Return the number of warm-up tasks per worker slot, at most `LONGEST_WARM_UP_S` of work."""
    longest = round(LONGEST_WARM_UP_S * 1e9 / max(calibrated.nominal_ns, 1))
    # At least one: a long task's import would otherwise be inside the window.
    return min(selection.warmup_per_slot, max(longest, 1))
