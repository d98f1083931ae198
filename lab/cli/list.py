"""Prints the names that the command line accepts: ``lab list``."""

from __future__ import annotations

import argparse

from lab.console import say, show_table
from lab.core.errors import ExitCode
from lab.planning import registry
from lab.planning.presets import GROUPS, PRESETS


def run(_: argparse.Namespace) -> int:
    """Print backends, workloads and presets, and the entry points that cannot be used."""
    for entry in registry.left_out():
        say(str(entry))
    rows = []
    for name, backend in registry.backends().items():
        for variant in backend.variants:
            package = registry.missing_package(backend, variant.name)
            installed = "yes" if package is None else f"no: needs {package}"
            profiles = ", ".join(p.name for p in registry.profiles_of(backend, variant.name))
            rows.append((f"{name}[{variant.name}]", profiles, installed, variant.summary))
    show_table("Backends", ("backend[variant]", "@profile", "installed", "description"), rows)
    workloads = [registry.workload(name)[0] for name in registry.workload_modules()]
    show_table(
        "Workloads",
        ("workload", "default size", "description"),
        [
            *((w.name, f"{w.default_size} {w.unit}".strip(), w.summary) for w in workloads),
            *((name, "", group.summary) for name, group in GROUPS.items()),
        ],
    )
    if entries := registry.left_out():
        unusable = [(entry.kind, entry.name, entry.reason) for entry in entries]
        show_table("Left out", ("kind", "name", "reason"), unusable)
    presets = [(p.name, str(p.blocks), p.summary) for p in PRESETS.values()]
    show_table("Presets", ("preset", "blocks", "purpose"), presets)
    return ExitCode.FINE
