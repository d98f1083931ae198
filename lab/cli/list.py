"""`lab list`: everything that can be named on the command line."""

from __future__ import annotations

import argparse

from lab.console import say, show_table
from lab.core.errors import ExitCode
from lab.planning import registry
from lab.planning.presets import GROUPS, PRESETS


def list_names(_: argparse.Namespace) -> int:
    """Print everything that can be named on the command line."""
    for entry in registry.left_out():
        say(str(entry))
    rows = []
    for name, backend in registry.backends().items():
        for variant in backend.variants:
            package = registry.missing_package(backend, variant.name)
            mark = "yes" if package is None else f"no: needs {package}"
            profiles = ", ".join(p.name for p in registry.profiles_of(backend, variant.name))
            rows.append((f"{name}[{variant.name}]", profiles, mark, variant.summary))
    show_table("Backends", ("backend[variant]", "@profile", "installed", "what it is"), rows)
    workloads = [registry.workload(name)[0] for name in registry.workload_modules()]
    show_table(
        "Workloads",
        ("workload", "default size", "what a task does"),
        [
            *((w.name, f"{w.default_size} {w.unit}".strip(), w.summary) for w in workloads),
            *((name, "", group.summary) for name, group in GROUPS.items()),
        ],
    )
    if broken := registry.left_out():
        columns = ("kind", "name", "why it is not available")
        show_table("Left out", columns, [(one.kind, one.name, one.reason) for one in broken])
    presets = [(p.name, str(p.blocks), p.summary) for p in PRESETS.values()]
    show_table("Presets", ("preset", "blocks", "what for"), presets)
    return ExitCode.FINE
