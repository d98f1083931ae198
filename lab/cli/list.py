"""Prints the names that the command line accepts: ``lab list``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from lab.console import say, show_lines, show_table
from lab.core.backend import contract_of
from lab.core.errors import ExitCode, UsageError
from lab.planning import registry
from lab.planning.presets import EXPERIMENTS, PRESETS

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]
KINDS = ("backends", "workloads", "experiments", "presets")
# A further profile of a job queue differs only in the rest of its contract.
CONTRACT, QUEUE = "contract", " job queue"


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
    for title, columns, rows in tables():
        chosen = [row for row in rows if all(word in " ".join(row).lower() for word in words)]
        if title.lower() in kinds and chosen:
            show_lines(title, columns, [_short(columns, row) for row in chosen])
            shown += len(chosen)
    unusable = [(entry.kind, entry.name, entry.reason) for entry in registry.left_out()]
    if unusable and not options.filters:
        show_table("Left out", ("kind", "name", "reason"), unusable)
    if not shown:
        raise UsageError(f"Nothing contains {' and '.join(words)}. All names: lab list")
    return ExitCode.FINE


def _short(columns: Sequence[str], row: Sequence[str]) -> list[str]:
    """Shorten the contract: the name of every other one is short, and descriptions need room."""
    cells = zip(columns, row, strict=True)
    return [cell.removesuffix(QUEUE) if name == CONTRACT else cell for name, cell in cells]


def tables() -> Iterator[Table]:
    """Yield backends, workloads, experiments and presets; the first column is what to type."""
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
            rows.append((f"{name}[{variant.name}]", contract, lack + more + variant.summary))
    yield "Backends", ("backend[variant]", CONTRACT, "further @profiles: description"), rows
    workloads = [registry.workload(name)[0] for name in registry.workload_modules()]
    sized = [(w.name, f"{w.default_size} {w.unit}".strip(), w.summary) for w in workloads]
    yield "Workloads", ("workload", "default size", "description"), sized
    experiments = [(name, experiment.summary) for name, experiment in EXPERIMENTS.items()]
    yield "Experiments", ("--experiment", "description"), experiments
    presets = [(p.name, str(p.blocks), p.summary) for p in PRESETS.values()]
    yield "Presets", ("--preset", "blocks", "purpose"), presets
