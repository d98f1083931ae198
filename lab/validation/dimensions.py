"""Makes the columns that identify a trial: its spec, where it ran, how its tasks were offered."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lab.core.cell import cell_of_spec
from lab.core.model import TrialSpec
from lab.core.placement import cpu_text
from lab.planning import registry
from lab.running.trial import TrialObservation
from lab.validation import fault_records
from lab.worker import user_function


def identity(outcome: TrialObservation, n_unchecked: int = 0) -> dict[str, Any]:
    """Return the columns that identify a trial: its spec, its cluster and its arrival.

    `n_unchecked` is the number of answers in its window that were to be checked and could not be.
    """
    spec, backend = outcome.spec, registry.select(outcome.spec.label).backend
    return {
        "trial_id": spec.id,
        "attempt": outcome.attempt,
        "block": spec.block,
        **asdict(cell_of_spec(spec)),
        "backend": spec.backend,
        "family": backend.family,
        "variant": spec.variant,
        "profile": spec.profile,
        "runs_tasks": int(backend.executes),
        "reference": registry.reference(spec.label),
        "size_unit": registry.workload(spec.workload)[0].unit,
        # No bound and no overhead may come from a duration that was disturbed (METHOD M17).
        "nominal_ns": 0 if spec.is_uncertain else spec.nominal_ns,
        "t_exec_ns": outcome.executed_ns,
        **_placed(outcome),
        "seed": spec.seed,
        "hash_seed": outcome.hash_seed,
        "services": outcome.services,
        "pass_env": " ".join(spec.pass_env),
        "images": outcome.images,
        "commands": outcome.commands,
        "started_utc": outcome.started_utc,
        "trial_ns": outcome.trial_ns,
        "answer_check": _checked_against(spec, n_unchecked),
        **fault_records.promises(spec),
    }


def _checked_against(spec: TrialSpec, n_unchecked: int) -> str:
    if not user_function.is_user_function(spec.workload):
        # Only the lab's own workloads declare right answers; that of a function is from a call.
        return "known"
    if spec.answer is None:
        return f"not checked: {spec.unchecked or 'no answer repeats'}"
    # A check that takes long would be part of the rate, so it is left to the warm-up (METHOD M19).
    if spec.unchecked:
        return f"inline call, in the warm-up alone: {spec.unchecked}"
    return "inline call" + (f"; {n_unchecked} could not be checked" if n_unchecked else "")


def _placed(outcome: TrialObservation) -> dict[str, Any]:
    placement = outcome.placement
    return {
        "workers": outcome.spec.topology.workers,
        "node_mode": placement.mode,
        "placement": "dedicated" if placement.dedicated else "shared",
        "driver_cpus": cpu_text(placement.driver),
        "service_cpus": cpu_text(placement.services),
        "node_cpus": "|".join(map(cpu_text, placement.nodes)),
        "node_hosts": outcome.hosts,
    }
