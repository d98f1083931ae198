"""Measures how long the work of a calibrated task takes at the present speed of the CPU."""

from __future__ import annotations

from lab.core.environment import Environment
from lab.core.model import TrialSpec
from lab.planning import registry
from lab.providers import PROVIDERS
from lab.worker import user_function


def work_ns(spec: TrialSpec) -> int | None:
    """Calibrate the workload of a trial again, and return the duration of its planned size, ns.

    The size itself stays, so that all systems of a block run the same tasks; but the plan's
    calibration may be an hour old, and the speed of a shared machine changes within minutes. An
    overhead is computed from this duration. None if the size is not a duration.

    Raises:
        LabError: The interpreter of the trial's environment cannot do it.
    """
    if not spec.nominal_ns or not spec.size or user_function.is_user_function(spec.workload):
        return None
    _, module = registry.workload(spec.workload)
    # The size of a calibrated workload is typed in microseconds.
    us = spec.nominal_ns // 1_000
    if Environment.parse(spec.environment).python:
        same_now = _elsewhere(
            spec, f"from {module.__name__} import calibrate; print(calibrate({us}))"
        )
    else:
        same_now = int(module.calibrate(us))
    return round(spec.nominal_ns * spec.size / same_now)


def _elsewhere(spec: TrialSpec, program: str) -> int:
    """Run a program in the interpreter of a trial, in which a loop has another speed."""
    environments = PROVIDERS[spec.provider].environments
    return int(environments.output_of(spec.label, spec.environment, ["-c", program]))
