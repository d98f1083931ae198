"""From what was typed to a `Selection` with every name resolved."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from lab.console import say
from lab.core import placement
from lab.core.backend import ceilings_of
from lab.core.errors import UnknownNameError, UsageError
from lab.core.model import Arrival, Burst, Idle, Paced, Periodic, Ranked
from lab.host import child_environment, temp_dirs
from lab.planning import feasible, ranges, registry
from lab.planning.plan import Selection
from lab.planning.presets import (
    GROUPS,
    LADDERS,
    LATENCY,
    OFFERED,
    PRESETS,
    STANDARD,
    Cell,
    Ladder,
    Preset,
)
from lab.providers import PROVIDERS, user_code, watchdog
from lab.running import preflight, shadowed_modules
from lab.worker import user_function

T = TypeVar("T")
# Fewer have no throughput.
FEWEST_TASKS = 20
LOOP = "inline"
QUICKEST = next(iter(PRESETS))


def known(kind: str, name: str, names: Mapping[str, T]) -> T:
    """Look a name up.

    Raises:
        UnknownNameError: It is none of `names`.
    """
    if name not in names:
        raise UnknownNameError(kind, name, names)
    return names[name]


def select(options: argparse.Namespace, preset: Preset) -> Selection:
    """Resolve the options of `lab bench`; what was not said is the preset's.

    Raises:
        UsageError: A name is unknown, or its package is not installed.
    """
    known("provider", options.provider, PROVIDERS)
    child_environment.passed(options.pass_env or ())
    if options.args and options.task is None:
        raise UsageError("--args are those of a function of your own: name it by --task.")
    cells = _cells(options, preset)
    cores = options.cores or placement.core_counts(len(placement.available_cpus()))
    if options.quota and not PROVIDERS[options.provider].has_quotas:
        raise UsageError("--quota needs containers: say --provider compose.")
    if options.quota >= min(cores):
        raise UsageError(f"--quota {options.quota:g} is no limit for a node of {min(cores)} cores.")
    chosen = _chosen(options.backend)
    selection = Selection(
        labels=tuple(dict.fromkeys(one.label for one in chosen)),
        cells=cells,
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
        # Commits that take turns are compared with each other, not with a ceiling.
        references={} if options.turns else _references(chosen),
        pass_env=tuple(sorted({*(options.pass_env or ())})),
    )
    feasible.require_plannable(selection)
    return selection


def named_function(options: argparse.Namespace) -> str:
    """Return the function that the command line names, as a workload; empty where it names none."""
    return user_function.name_of(options.task, options.args) if options.task is not None else ""


def ladder_of(options: argparse.Namespace, preset: Preset) -> Ladder | None:
    """Return how thoroughly latency is measured against load; None where nobody asked for it."""
    if LATENCY not in (options.workload or ()):
        return None
    chosen = LADDERS[preset.name]
    gaps, blocks = options.gaps or chosen.gaps, options.blocks or chosen.blocks
    return replace(chosen, gaps=gaps, blocks=blocks, rate_hz=options.rate or 0.0)


def _chosen(asked: Sequence[str] | None) -> list[registry.Selected]:
    """Resolve what was asked for; without a wish, every system whose packages are there."""
    if asked:
        chosen = [registry.select(label) for label in asked]
        for one in chosen:
            registry.require(one)
        return chosen
    known = registry.backends()
    ceilings = {
        registry.select(label).name
        for backend in known.values()
        for variant in backend.variants
        for label in ceilings_of(backend, variant.name)
    }
    return _installed(registry.select(name) for name in known if name not in ceilings)


def _installed(wanted: Iterable[registry.Selected]) -> list[registry.Selected]:
    found = []
    for one in wanted:
        if package := registry.missing_package(one.backend, one.variant):
            say(f"Left out {one.name}: package {package!r} is not installed.")
        else:
            found.append(one)
    return found


def _references(chosen: Sequence[registry.Selected]) -> dict[str, int]:
    """Find the ceilings of what was chosen that were not, each with its place among them.

    The loop that calls the function and nothing else comes first, beside every system (METHOD M18,
    B0).
    """
    places: dict[registry.Selected, int] = {}
    for system in chosen:
        named = ceilings_of(system.backend, system.variant)
        for place, label in enumerate([LOOP, *named] if named else []):
            reference = registry.select(label)
            places[reference] = min(place, places.get(reference, place))
    return {one.label: places[one] for one in _installed(places) if one not in chosen}


def _cells(options: argparse.Namespace, preset: Preset) -> tuple[Cell, ...]:
    if options.workload or options.task is not None:
        names = options.workload or ()
        cells = [cell for name in names for cell in _named_cells(name, preset)]
    else:
        cells = list(preset.cells)
    if options.task is not None:
        cells += _own_cells(options, preset)
    if options.arrival:
        for kind in options.arrival:
            known("arrival", kind, OFFERED)
        is_typed = options.workload or options.task
        kinds = {cell.arrival.kind for cell in cells}
        cells = [
            cell
            for kind in options.arrival
            # What no preset has is about a workload of its own, unless another is typed.
            for cell in (_offered(cells, kind) if is_typed or kind in kinds else [OFFERED[kind]])
        ]
    return tuple(dict.fromkeys(_adjusted(cell, options, preset) for cell in cells))


def _offered(cells: Sequence[Cell], kind: str) -> list[Cell]:
    """Return the cells of an arrival; a workload that has none takes the usual one."""
    found = [cell for cell in cells if cell.arrival.kind == kind]
    have = {cell.workload for cell in found}
    usual = OFFERED[kind].arrival
    return found + [replace(c, arrival=usual) for c in cells if c.workload not in have]


def _named_cells(name: str, preset: Preset) -> list[Cell]:
    """Return the preset's cells of a workload, or the standard ones where it has none."""
    if name in GROUPS:
        group = GROUPS[name]
        return list((preset.name == QUICKEST and group.quick) or group.cells)
    workload, colon, size = name.partition(":")
    unit = registry.workload(workload)[0].unit
    if colon and not unit:
        raise UsageError(f"Workload {workload!r} has no size: write --workload {workload}.")
    try:
        typed = ranges.SIZES.get(unit, ranges.ANY_SIZE)(size) if colon else None
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"Size of workload {workload!r} in {unit}: {error}.") from error
    for cells in (preset.cells, STANDARD):
        if own := [replace(c, size=typed) for c in cells if c.workload == workload]:
            return own
    return [Cell(workload, STANDARD[0].arrival, typed)]


def _own_cells(options: argparse.Namespace, preset: Preset) -> list[Cell]:
    """Return the cells of a function of the user's own, which is called inline before."""
    name = user_function.name_of(options.task, options.args)
    shadowed_modules.refuse(name)
    say(f"Calling {name} inline, three times.")
    with watchdog.on_duty(), temp_dirs.folder() as folder:
        seen = preflight.rehearse(name, folder, preset.deadline_s, options.pass_env or ())
    if seen.failure and not options.allow_errors:
        raise UsageError(
            f"{name} fails where it is called inline: {seen.failure}. Mend it, or say "
            "--allow-errors to measure it all the same."
        )
    if options.provider == "compose":
        user_code.pack(name)  # what cannot be carried into a container is told now
    took = f"It takes {seen.nominal_ns / 1e9:.3g} s. " if seen.nominal_ns else ""
    if seen.answer is None:
        against = f"Answers are not checked: {seen.trouble}."
    elif seen.trouble:
        against = f"Answers are checked in the warm-up alone: {seen.trouble}."
    else:
        against = "Its answer repeats."
    say(took + against)
    # Of every preset, what it asks of tasks that do nothing; in a share of the time it allows.
    nothing = [c for c in _named_cells("noop", preset) if isinstance(c.arrival, Burst | Paced)]
    budget_s = preset.deadline_s / 3
    return [
        replace(
            cell,
            workload=name,
            arrival=_within(cell.arrival, seen.nominal_ns, budget_s),
            preflight=seen,
        )
        for cell in nothing
    ]


def _within(arrival: Arrival, nominal_ns: int, budget_s: float) -> Arrival:
    """Make an arrival no longer than a budget for tasks of this duration, on one worker slot.

    A paced one is offered no more than a fifth of what one worker can do.
    """
    if not nominal_ns or not isinstance(arrival, Burst | Paced):
        return arrival
    per_s = 1e9 / nominal_ns
    if isinstance(arrival, Paced):
        per_s = min(arrival.rate_hz, per_s / 5)
        arrival = replace(arrival, rate_hz=float(f"{per_s:.2g}"))
    most = max(FEWEST_TASKS, round(budget_s * per_s))
    return replace(arrival, n_tasks=min(arrival.n_tasks, most))


def _adjusted(cell: Cell, options: argparse.Namespace, preset: Preset) -> Cell:
    arrival = cell.arrival
    if isinstance(arrival, Idle):
        arrival = Idle(options.seconds or preset.idle_s)
    elif options.tasks:
        arrival = replace(arrival, n_tasks=options.tasks)
        if isinstance(arrival, Ranked) and arrival.n_tasks <= arrival.n_urgent:
            urgent = f"{arrival.n_urgent} urgent tasks among them"
            raise UsageError(f"--tasks {options.tasks} of arrival ranked: {urgent} need more.")
    if options.occurrences and isinstance(arrival, Periodic):
        arrival = replace(arrival, n_occurrences=options.occurrences)
    if options.rate and isinstance(arrival, Paced):
        arrival = replace(arrival, rate_hz=options.rate)
        if arrival.n_tasks / options.rate > ranges.DAY_S:
            n, rate = f"{arrival.n_tasks} tasks", f"{options.rate:g} a second"
            raise UsageError(f"--rate: {n} at {rate} take longer than a day. Say more.")
    if options.gaps and isinstance(arrival, Paced):
        arrival = replace(arrival, gaps=options.gaps)
    # Who asks for a sweep or for blocks means every cell.
    sweep = options.cores or len(options.nodes) > 1 or len(options.workers or ()) > 1
    widest, once = cell.widest and not sweep, cell.once and not options.blocks
    return replace(cell, arrival=arrival, widest=widest, once=once)
