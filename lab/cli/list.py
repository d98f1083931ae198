"""Prints the names that the command line accepts: ``lab list``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from lab.console import say, show_table, show_texts
from lab.core.backend import contract_of
from lab.core.errors import ExitCode, UsageError
from lab.planning import registry
from lab.planning.presets import EXPERIMENTS, PRESETS

KINDS = ("backends", "workloads", "experiments", "presets")
# A further profile of a job queue differs only in the rest of its contract.
QUEUE = " job queue"


def run(options: argparse.Namespace) -> int:
    """Print the names of the chosen kinds that contain every other word.

    Raises:
        UsageError: No row contains the words.
    """
    for entry in registry.left_out():
        say(str(entry))
    kinds = [word for word in options.filters if word in KINDS] or KINDS
    words = [word.lower() for word in options.filters if word not in KINDS]
    shown = 0
    for title, heading, rows in lists():
        chosen = [row for row in rows if all(word in " ".join(row).lower() for word in words)]
        if title.lower() in kinds and chosen:
            show_texts(title, [heading, *chosen])
            shown += len(chosen)
    unusable = [(entry.kind, entry.name, entry.reason) for entry in registry.left_out()]
    if unusable and not options.filters:
        show_table("Left out", ("kind", "name", "reason"), unusable)
    if not shown:
        raise UsageError(f"Nothing contains {' and '.join(words)}. All names: lab list")
    return ExitCode.FINE


def lists() -> Iterator[tuple[str, tuple[str, str], Sequence[tuple[str, str]]]]:
    """Yield the title, the heading and the rows of each kind; a row begins with what to type."""
    rows = []
    for name, backend in registry.backends().items():
        for variant in backend.variants:
            package = registry.missing_package(backend, variant.name)
            lack = f"NOT INSTALLED: needs {package}. " if package else ""
            if version := registry.needed_python(backend):
                lack = f"NEEDS --python {version}. "
            # The first profile is `default`, which no label needs to name.
            first, *further = registry.profiles_of(backend, variant.name)
            contract = contract_of(backend, variant.name, first.name)
            others = [(p.name, contract_of(backend, variant.name, p.name)) for p in further]
            profiles = [
                f"@{profile}" + f" ({other.removesuffix(QUEUE)})" * (other is not contract)
                for profile, other in others
            ]
            more = f"{' '.join(profiles)}: " if profiles else ""
            rows.append((f"{name}[{variant.name}]", f"{contract}; {lack}{more}{variant.summary}"))
    yield "Backends", ("backend[variant]", "contract; further @profiles: description"), rows
    workloads = [registry.workload(name)[0] for name in registry.workload_modules()]
    sized = [(w.name, f"{w.default_size} {w.unit}".strip() + f"; {w.summary}") for w in workloads]
    yield "Workloads", ("workload", "default size; description"), sized
    experiments = [(name, experiment.summary) for name, experiment in EXPERIMENTS.items()]
    yield "Experiments", ("--experiment", "description"), experiments
    presets = [(preset.name, preset.summary) for preset in PRESETS.values()]
    yield "Presets", ("--preset", "description"), presets
