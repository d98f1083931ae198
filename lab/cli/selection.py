"""Resolves the options of `lab bench` to a `Selection`."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from lab.campaign import feasible
from lab.console import say
from lab.core import placement
from lab.core.backend import INLINE, references_of
from lab.core.errors import UnknownNameError, UsageError
from lab.core.faults import FaultKind
from lab.core.model import Arrival, Burst, Idle, Paced, Periodic, Priority
from lab.host import child_environment, temp_dirs
from lab.planning import faults, ranges, registry
from lab.planning.plan import Selection
from lab.planning.presets import (
    EXPERIMENTS,
    LATENCY,
    LOAD_SWEEPS,
    OFFERED,
    PRESETS,
    STANDARD,
    Case,
    LoadSweep,
    Preset,
)
from lab.providers import PROVIDERS, watchdog
from lab.running import preflight, shadowed_modules
from lab.worker import user_function

T = TypeVar("T")
# Throughput needs this many tasks.
FEWEST_TASKS = 20
QUICKEST = next(iter(PRESETS))


def lookup(kind: str, name: str, names: Mapping[str, T]) -> T:
    """Look up a name.

    Raises:
        UnknownNameError: It is not in `names`.
    """
    if name not in names:
        raise UnknownNameError(kind, name, names)
    return names[name]


def select(options: argparse.Namespace, preset: Preset) -> Selection:
    """Resolve the options of `lab bench`; the preset provides those that are missing.

    Raises:
        UsageError: A name is unknown, its package is not installed, or options contradict each
            other.
    """
    lookup("provider", options.provider, PROVIDERS)
    child_environment.passed(options.pass_env or ())
    if options.args and options.task is None:
        raise UsageError("--args needs --task MODULE:FUNCTION, the function that takes them.")
    cases = _cases(options, preset)
    cores = options.cores or placement.core_counts(len(placement.available_cpus()))
    if options.quota and not PROVIDERS[options.provider].has_quotas:
        raise UsageError("--quota needs containers. Add --provider compose.")
    if options.quota >= min(cores):
        raise UsageError(
            f"--quota {options.quota:g} does not limit a node of {min(cores)} cores: it must be "
            "smaller."
        )
    chosen = _chosen(options.backend)
    selection = Selection(
        labels=tuple(dict.fromkeys(selected.label for selected in chosen)),
        cases=cases,
        cores=cores,
        nodes=options.nodes,
        workers_per_core=options.workers or (),
        provider=options.provider,
        blocks=options.blocks or preset.blocks,
        seed=secrets.randbits(31) if options.seed is None else options.seed,
        warmup_per_slot=preset.warmup_per_slot,
        deadline_s=preset.deadline_s,
        quota_cpus=options.quota,
        offers=PROVIDERS[options.provider].offered(),
        is_on_host=PROVIDERS[options.provider].is_on_host,
        fault_lacks={kind: PROVIDERS[options.provider].fault_lack(kind) for kind in FaultKind},
        # Interleaved commits are compared with each other, not with references.
        references={} if options.turns else _references(chosen),
        pass_env=tuple(sorted({*(options.pass_env or ())})),
    )
    # Before planning, because a plan of a billion trials would fill the memory.
    feasible.require_plannable(selection)
    return selection


def named_function(options: argparse.Namespace) -> str:
    """Return the workload name of the user's function on the command line; empty without one."""
    return user_function.name_of(options.task, options.args) if options.task is not None else ""


def load_sweep_of(options: argparse.Namespace, preset: Preset) -> LoadSweep | None:
    """Return the rules of the load sweep; None if the workload is not selected."""
    if LATENCY not in _names(options):
        return None
    chosen = LOAD_SWEEPS[preset.name]
    return replace(
        chosen,
        gaps=options.gaps or chosen.gaps,
        blocks=options.blocks or chosen.blocks,
        rate_hz=options.rate or 0.0,
    )


def _chosen(labels: Sequence[str] | None) -> list[registry.SelectedBackend]:
    """Resolve labels; without labels, return every installed backend that is not a reference."""
    if labels:
        chosen = [registry.select(label) for label in labels]
        for selected in chosen:
            registry.require(selected)
        return chosen
    backends = registry.backends()
    references = {
        registry.select(label).name
        for backend in backends.values()
        for variant in backend.variants
        for label in references_of(backend, variant.name)
    }
    return _installed(registry.select(name) for name in backends if name not in references)


def _installed(candidates: Iterable[registry.SelectedBackend]) -> list[registry.SelectedBackend]:
    installed = []
    for selected in candidates:
        if package := registry.missing_package(selected.backend, selected.variant):
            say(f"Left out {selected.name}: package {package!r} is not installed.")
        else:
            installed.append(selected)
    return installed


def _references(chosen: Sequence[registry.SelectedBackend]) -> dict[str, int]:
    """Return the references of the chosen backends, by label, each with its smallest index.

    The plain call of the function has index 0 for every backend; a backend's list begins at 1
    (METHOD M18, B0).
    """
    indexes: dict[registry.SelectedBackend, int] = {}
    for selected in chosen:
        listed = references_of(selected.backend, selected.variant)
        for index, label in enumerate([INLINE, *listed] if listed else []):
            reference = registry.select(label)
            indexes[reference] = min(index, indexes.get(reference, index))
    return {
        reference.label: indexes[reference]
        for reference in _installed(indexes)
        if reference not in chosen
    }


def _cases(options: argparse.Namespace, preset: Preset) -> tuple[Case, ...]:
    if (names := _names(options)) or options.task is not None:
        cases = [case for name in names for case in _named_cases(name, preset)]
    else:
        cases = list(preset.cases)
    if options.task is not None:
        cases += _user_function_cases(options, preset)
    if options.arrival:
        for kind in options.arrival:
            lookup("arrival", kind, OFFERED)
        is_typed = names or options.task
        kinds = {case.arrival.kind for case in cases}
        cases = [
            case
            for kind in options.arrival
            # An arrival that the preset lacks has its own workload, unless another is selected.
            for case in (_offered(cases, kind) if is_typed or kind in kinds else [OFFERED[kind]])
        ]
    adjusted = dict.fromkeys(_adjusted(case, options, preset) for case in cases)
    typed = [replace(faults.parse(text), hits=preset.hits) for text in options.fault or ()]
    return tuple(faults.of_cases(adjusted, typed, preset.hits, is_fitted=not options.tasks))


def _names(options: argparse.Namespace) -> list[str]:
    """Return the names of the selected workloads and experiments."""
    for name in options.experiment or ():
        lookup("experiment", name, EXPERIMENTS)
    return [*(options.workload or ()), *(options.experiment or ())]


def _offered(cases: Sequence[Case], kind: str) -> list[Case]:
    """Return the cases of an arrival; workloads without such a case get its default one."""
    of_kind = [case for case in cases if case.arrival.kind == kind]
    covered = {case.workload for case in of_kind}
    default = OFFERED[kind].arrival
    others = [case for case in cases if case.workload not in covered]
    return of_kind + [replace(case, arrival=default) for case in others]


def _named_cases(name: str, preset: Preset) -> list[Case]:
    """Return the preset's cases of a workload or an experiment, or else the standard ones."""
    if name in EXPERIMENTS:
        experiment = EXPERIMENTS[name]
        return list((preset.name == QUICKEST and experiment.quick) or experiment.cases)
    workload, colon, size = name.partition(":")
    unit = registry.workload(workload)[0].unit
    if colon and not unit:
        raise UsageError(f"Workload {workload!r} has no size. Write --workload {workload}.")
    try:
        typed = ranges.SIZES.get(unit, ranges.ANY_SIZE)(size) if colon else None
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"Size of workload {workload!r} in {unit}: {error}.") from error
    for cases in (preset.cases, STANDARD):
        if sized := [replace(c, size=typed) for c in cases if c.workload == workload]:
            return sized
    return [Case(workload, STANDARD[0].arrival, typed)]


def _user_function_cases(options: argparse.Namespace, preset: Preset) -> list[Case]:
    """Call the user's function, report the results, and return its cases."""
    name = user_function.name_of(options.task, options.args)
    shadowed_modules.refuse(name)  # before anything is imported from the user's folder
    say(f"Calling {name} three times before the run.")
    with watchdog.on_duty(), temp_dirs.folder() as folder:
        result = preflight.run_preflight(name, folder, preset.deadline_s, options.pass_env or ())
    if result.failure and not options.allow_errors:
        raise UsageError(
            f"{name} fails when the lab calls it before the run: {result.failure}. Fix it, or "
            "add --allow-errors to measure it anyway."
        )
    PROVIDERS[options.provider].require_importable(name)
    duration = f"A call takes {result.nominal_ns / 1e9:.3g} s. " if result.nominal_ns else ""
    if result.answer is None:
        check = f"Answers are not checked: {result.unchecked}."
    elif result.unchecked:
        check = f"Answers are checked in the warm-up only: {result.unchecked}."
    else:
        check = "All answers are equal, and the lab checks each task's answer."
    say(duration + check)
    # The preset's bursts and paced arrivals of no-ops, in a third of its deadline.
    noops = [c for c in _named_cases("noop", preset) if isinstance(c.arrival, Burst | Paced)]
    budget_s = preset.deadline_s / 3
    return [
        replace(
            case,
            workload=name,
            arrival=_within(case.arrival, result.nominal_ns, budget_s),
            preflight=result,
        )
        for case in noops
    ]


def _within(arrival: Arrival, nominal_ns: int, budget_s: float) -> Arrival:
    """Limit an arrival of tasks of this duration to a budget, for one worker slot.

    The rate of a paced arrival is at most a fifth of the rate of one worker.
    """
    if not nominal_ns or not isinstance(arrival, Burst | Paced):
        return arrival
    per_s = 1e9 / nominal_ns
    if isinstance(arrival, Paced):
        per_s = min(arrival.rate_hz, per_s / 5)
        arrival = replace(arrival, rate_hz=float(f"{per_s:.2g}"))
    most = max(FEWEST_TASKS, round(budget_s * per_s))
    return replace(arrival, n_tasks=min(arrival.n_tasks, most))


def _adjusted(case: Case, options: argparse.Namespace, preset: Preset) -> Case:
    arrival = case.arrival
    if isinstance(arrival, Idle):
        arrival = Idle(options.seconds or preset.idle_s)
    elif options.tasks:
        arrival = replace(arrival, n_tasks=options.tasks)
        if isinstance(arrival, Priority) and arrival.n_tasks <= arrival.n_urgent:
            raise UsageError(
                f"--tasks {options.tasks} is too small for arrival priority: it must be more than "
                f"its {arrival.n_urgent} urgent tasks."
            )
    if options.occurrences and isinstance(arrival, Periodic):
        arrival = replace(arrival, n_occurrences=options.occurrences)
    if options.rate and isinstance(arrival, Paced):
        arrival = replace(arrival, rate_hz=options.rate)
        if arrival.n_tasks / options.rate > ranges.DAY_S:
            raise UsageError(
                f"--rate {options.rate:g}: {arrival.n_tasks} tasks take longer than a day. Use a "
                "higher rate."
            )
    if options.gaps and isinstance(arrival, Paced):
        arrival = replace(arrival, gaps=options.gaps)
    # A sweep or a number of blocks on the command line applies to every case.
    sweep = options.cores or len(options.nodes) > 1 or len(options.workers or ()) > 1
    return replace(
        case,
        arrival=arrival,
        widest=case.widest and not sweep,
        once=case.once and not options.blocks,
    )
