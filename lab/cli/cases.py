"""Chooses the cases of a campaign: of workloads, experiments and the user's function."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from lab.console import say
from lab.core.errors import UnknownNameError, UsageError
from lab.core.model import Arrival, Burst, Idle, Paced, Periodic, Priority
from lab.core.preflight import PreflightResult
from lab.host import temp_dirs
from lab.planning import faults, ranges, registry
from lab.planning.presets import EXPERIMENTS, OFFERED, PRESETS, STANDARD, Case, Preset
from lab.providers import PROVIDERS, watchdog
from lab.report.number_format import percent, seconds
from lab.running import preflight, shadowed_modules
from lab.worker import user_function

T = TypeVar("T")
# Throughput needs this many tasks.
FEWEST_TASKS = 20
# The share of waits above which calls of a function were disturbed (METHOD M23).
WORTH_MENTION = 0.1
QUICKEST = next(iter(PRESETS))


def lookup(kind: str, name: str, names: Mapping[str, T]) -> T:
    """Look up a name.

    Raises:
        UnknownNameError: It is not in `names`.
    """
    if name not in names:
        raise UnknownNameError(kind, name, names)
    return names[name]


def of_options(options: argparse.Namespace, preset: Preset) -> tuple[Case, ...]:
    """Return the selected cases, with the sizes and faults of the command line.

    Raises:
        UsageError: A name is unknown, a size is out of range, or options contradict each other.
    """
    for kind in options.arrival or ():
        lookup("arrival", kind, OFFERED)
    typed = [replace(faults.parse(text), hits=preset.hits) for text in options.fault or ()]
    if (typed_names := names(options)) or options.task is not None:
        parts = [(_named_cases(name, preset), name in EXPERIMENTS) for name in typed_names]
        if options.task is not None:
            parts.append((_user_function_cases(options, preset), False))
    else:
        parts = [(list(preset.cases), False)]
    is_typed = bool(typed_names or options.task)
    cases: list[Case] = []
    for part, is_experiment in parts:
        kinds = {case.arrival.kind for case in part}
        for kind in options.arrival or ():
            # An arrival that the preset lacks has its own workload, unless another is selected.
            is_known = is_typed or kind in kinds
            cases += (
                _offered(part, kind, is_experiment=is_experiment) if is_known else [OFFERED[kind]]
            )
        if not options.arrival:
            cases += part
    adjusted = dict.fromkeys(_adjusted(case, options, preset) for case in cases)
    return tuple(faults.of_cases(adjusted, typed, preset.hits, is_fitted=not options.tasks))


def names(options: argparse.Namespace) -> list[str]:
    """Return the names of the selected workloads and experiments."""
    for name in options.experiment or ():
        lookup("experiment", name, EXPERIMENTS)
    return [*(options.workload or ()), *(options.experiment or ())]


def _offered(cases: Sequence[Case], kind: str, *, is_experiment: bool) -> list[Case]:
    """Return the cases of an arrival; workloads without such a case get its default one.

    Not in an experiment: its cases belong together, and a task that raises once fits no arrival
    but `retry`.
    """
    of_kind = [case for case in cases if case.arrival.kind == kind]
    if of_kind and is_experiment:
        return of_kind
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
    # A workload of another package: its tasks may be long, so it has the preset's smallest burst.
    return [Case(workload, preset.cases[0].arrival, typed)]


def _user_function_cases(options: argparse.Namespace, preset: Preset) -> list[Case]:
    """Call the user's function, report the results, and return its cases."""
    name = user_function.name_of(options.task, options.args)
    shadowed_modules.refuse(name)  # before anything is imported from the user's folder
    say(f"Calling {name} a few times before the run.")
    with watchdog.on_duty(), temp_dirs.folder() as folder:
        result = preflight.run_preflight(name, folder, preset.deadline_s, options.pass_env or ())
    if result.failure and not options.allow_errors:
        raise UsageError(
            f"{name} fails when the lab calls it before the run: {result.failure}. Fix it, or "
            "add --allow-errors to measure it anyway."
        )
    PROVIDERS[options.provider].require_importable(name)
    if result.nominal_ns:
        say(_duration(result))
    if result.answer is None:
        check = f"Answers are not checked: {result.unchecked}."
    elif result.unchecked:
        check = f"Answers are checked in the warm-up only: {result.unchecked}."
    else:
        check = "All answers are equal, and the lab checks each task's answer."
    say(check)
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


def _duration(result: PreflightResult) -> str:
    """Word how long a call takes, and what disturbed the calls."""
    taken = seconds(result.nominal_ns / 1e9)
    if result.uncertainty:
        return (
            f"A call takes about {taken}. This is uncertain, because {result.uncertainty}, so that "
            "no overhead and no highest possible rate is computed from it. If other programs are "
            "the cause, close them and start again."
        )
    text = f"A call takes {taken}, the fastest of {result.n_calls}."
    if result.waited > WORTH_MENTION:
        text += f" This machine is busy: the calls waited for a CPU for {percent(result.waited)} of"
        text += " the time, which is subtracted."
    return text


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
        blocks=None if options.blocks else case.blocks,
    )
