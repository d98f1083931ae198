"""Runs single trials for tests, through everything that a campaign uses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from lab import registry, trial
from lab.cluster import Site
from lab.clusters.local import LocalCluster
from lab.collect import Collected, Context, collect
from lab.model import Arrival, Burst, Flag, Periodic, Topology, TrialSpec
from lab.specs import Order, order_to_json

CONTEXT = Context("test", "0" * 16, 0, None)


def spec_of(
    label: str,
    workload: str = "noop",
    arrival: Arrival | None = None,
    topology: Topology | None = None,
    size: int = 0,
    **changes: Any,
) -> TrialSpec:
    """Make a small spec; `changes` overrides any of its fields."""
    chosen = registry.select(label)
    _, module = registry.workload(workload)
    fields: dict[str, Any] = {
        "backend": chosen.name,
        "variant": chosen.variant,
        "profile": chosen.profile,
        "workload": workload,
        "size": module.calibrate(size),
        "nominal_ns": module.nominal_ns(size),
        "arrival": arrival or Burst(50),
        "topology": topology or Topology(1, 1, 1),
        "provider": "local",
        "block": 0,
        "seed": 5,
        "warmup_tasks": 0 if isinstance(arrival, Periodic) else 5,
        "deadline_s": 20.0,
    }
    return TrialSpec(**{**fields, **changes})


def run(folder: Path, spec: TrialSpec) -> Collected:
    """Run one attempt in `folder` and judge it."""
    phases: list[str] = []
    return collect(trial.run(spec, 1, folder / spec.id, phases.append), CONTEXT)


def ask_beside(
    folder: Path, spec: TrialSpec, module: ModuleType, *words: str
) -> tuple[Order, Site, str]:
    """Run a module's program where the driver would be, with the trial's folder as its first word.

    Returns:
        The trial's order, its site, and what the program printed. The cluster is down by then.
    """
    outcome = trial.Outcome(spec, 1, folder / spec.id, trial.place(spec), 0, "")
    site = trial._site(outcome)
    cluster = LocalCluster(site)
    try:
        order = Order(spec, cluster.up())
        (site.folder / "trial.json").write_text(json.dumps(order_to_json(order)))
        environment = {**os.environ, **site.environment, **cluster._ledger_environment(0, 0)}
        command = [sys.executable, "-m", module.__name__, str(site.folder), *words]
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
    finally:
        cluster.down()
    return order, site, told.stdout


def call_it_quiet(run_folder: Path) -> None:
    """Make a run's invalid trials noisy ones, which count: a test's machine may be busy."""
    table = run_folder / "trial.csv"
    table.write_text(table.read_text().replace(f",{Flag.INVALID},", f",{Flag.NOISY},"))
