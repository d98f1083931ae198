"""Runs single trials for tests, by the same functions as a campaign."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from lab.core.backend import setup_to_json
from lab.core.model import Arrival, BackendContext, Burst, Flag, Periodic, Topology, TrialSpec
from lab.core.provider import Cluster, TrialContext
from lab.core.serialization import TrialRequest, order_to_json
from lab.planning import registry
from lab.providers.local import LocalCluster
from lab.running import trial
from lab.validation.trial_row import Context, TrialResult, collect

CONTEXT = Context("test", "0" * 16, 0, None)


def spec_of(
    label: str,
    workload: str = "noop",
    arrival: Arrival | None = None,
    topology: Topology | None = None,
    size: int = 0,
    **changes: Any,
) -> TrialSpec:
    """Return a small spec; `changes` overrides any of its fields."""
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


def run(folder: Path, spec: TrialSpec) -> TrialResult:
    """Run one attempt in `folder`, and return its result."""
    phases: list[str] = []
    return collect(trial.run_trial(spec, 1, folder / spec.id, phases.append), CONTEXT)


def look_in(folder: Path, spec: TrialSpec, look: Callable[[Cluster], None]) -> TrialResult:
    """Run one attempt, and call `look` once with its cluster, just before the window begins.

    At that time all processes of the trial run, including the backend's monitor.
    """
    read, clusters = trial._reading, list[Cluster]()

    def look_and_read(cluster: Cluster) -> trial.EdgeReading:
        if not clusters:
            clusters.append(cluster)
            look(cluster)
        return read(cluster)

    with patch.object(trial, "_reading", look_and_read):
        return run(folder, spec)


def ask_beside(
    folder: Path, spec: TrialSpec, module: ModuleType, *arguments: str
) -> tuple[BackendContext, TrialContext, str]:
    """Run a module as a program in place of the driver; its first argument is the trial's folder.

    Returns:
        The trial's setup, its site, and the output of the program. The cluster has been stopped.
    """
    outcome = trial.TrialObservation(spec, 1, folder / spec.id, trial.place(spec), 0, "")
    site = trial._site(outcome)
    cluster = LocalCluster(site)
    try:
        setup = cluster.up()
        (site.folder / "trial.json").write_text(json.dumps(order_to_json(TrialRequest(spec))))
        environment = {**os.environ, **site.environment, **cluster._ledger_environment(0, 0)}
        environment["LAB_SETUP"] = setup_to_json(setup)
        command = [sys.executable, "-m", module.__name__, str(site.folder), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    finally:
        cluster.down()
    return setup, site, done.stdout


def call_it_quiet(run_folder: Path) -> None:
    """Replace the flag disturbed by noisy in a run, so that its trials count on a busy machine."""
    table = run_folder / "trial.csv"
    table.write_text(table.read_text().replace(f",{Flag.DISTURBED},", f",{Flag.NOISY},"))
