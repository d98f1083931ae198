"""Resolves the options of `lab bench` to a `Selection`."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lab.campaign import feasible
from lab.cli import cases, environments
from lab.console import say
from lab.core import placement
from lab.core.backend import INLINE, references_of
from lab.core.errors import UsageError
from lab.host import child_environment
from lab.planning import registry
from lab.planning.plan import Selection
from lab.planning.presets import LATENCY, LOAD_SWEEPS, LoadSweep, Preset
from lab.providers import PROVIDERS
from lab.report.number_format import plural
from lab.worker import user_function


def select(options: argparse.Namespace, preset: Preset) -> Selection:
    """Resolve the options of `lab bench`; the preset provides those that are missing.

    Raises:
        UsageError: A name is unknown, its package is not installed, or options contradict each
            other.
    """
    child_environment.passed(options.pass_env or ())
    if options.args and options.task is None:
        raise UsageError("--args needs --task MODULE:FUNCTION, the function that takes them.")
    named = _named(options)
    cores = options.cores or placement.core_counts(len(placement.available_cpus()))
    if options.quota and not PROVIDERS[options.provider].has_quotas:
        raise UsageError("--quota needs containers. Add --provider compose.")
    if options.quota >= min(cores):
        raise UsageError(
            f"--quota {options.quota:g} does not limit a node of {plural(min(cores), 'core')}: it "
            "must be smaller."
        )
    # After the other checks, because it may call the user's function.
    chosen_cases = cases.of_options(options, preset)
    kinds = {case.fault.kind for case in chosen_cases if case.fault}
    chosen = _chosen(options.backend, named)
    selection = Selection(
        labels=tuple(dict.fromkeys(selected.label for selected in chosen)),
        cases=chosen_cases,
        cores=cores,
        nodes=options.nodes,
        workers_per_core=options.workers or (),
        provider=options.provider,
        blocks=options.blocks or preset.blocks,
        seed=secrets.randbits(31) if options.seed is None else options.seed,
        warmup_per_slot=preset.warmup_per_slot,
        deadline_s=preset.deadline_s,
        quota_cpus=options.quota,
        drivers=options.drivers,
        offers=PROVIDERS[options.provider].offered(),
        is_on_host=PROVIDERS[options.provider].is_on_host,
        shares_files=PROVIDERS[options.provider].shares_files,
        fault_lacks={kind: PROVIDERS[options.provider].fault_lack(kind) for kind in kinds},
        # Interleaved commits are compared with each other, not with references.
        references={} if options.turns or options.no_references else _references(chosen),
        pass_env=tuple(sorted({*(options.pass_env or ())})),
    )
    selection = replace(selection, environments=environments.of_labels(selection, options))
    for label, texts in selection.environments.items():
        if "" in texts:  # such as a system that uses no package of --with
            registry.require(registry.select(label))
    # Before planning, because a plan of a billion trials would fill the memory.
    feasible.require_plannable(selection)
    return selection


def named_function(options: argparse.Namespace) -> str:
    """Return the workload name of the user's function on the command line; empty without one."""
    return user_function.name_of(options.task, options.args) if options.task is not None else ""


def load_sweep_of(options: argparse.Namespace, preset: Preset) -> LoadSweep | None:
    """Return the rules of the load sweep; None if the workload is not selected."""
    if LATENCY not in cases.names(options):
        return None
    chosen = LOAD_SWEEPS[preset.name]
    return replace(
        chosen,
        gaps=options.gaps or chosen.gaps,
        blocks=options.blocks or chosen.blocks,
        rate_hz=options.rate or 0.0,
    )


def _named(options: argparse.Namespace) -> list[registry.SelectedBackend]:
    """Resolve the labels on the command line, without the word ``all``.

    In an environment of its own, a system needs no package of the lab's.
    """
    labels = options.backend or ()
    named = [registry.select(label) for label in labels if label != registry.ALL]
    for selected in () if options.python or getattr(options, "with") else named:
        registry.require(selected)
    return named


def _chosen(
    labels: Sequence[str] | None, named: Sequence[registry.SelectedBackend]
) -> list[registry.SelectedBackend]:
    """Return the named backends; without labels, the installed ones of the default set.

    The word ``all`` stands for all installed backends that are no references.
    """
    if not labels:
        return [selected for selected in _systems() if selected.backend.by_default]
    return [*named, *_systems()] if registry.ALL in labels else [*named]


def _systems() -> list[registry.SelectedBackend]:
    """Return every installed backend that is not a reference."""
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
