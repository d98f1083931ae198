"""Measures how long the work of a calibrated task takes at the present speed of the CPU."""

from __future__ import annotations

from lab.core.model import TrialSpec
from lab.planning import registry
from lab.worker import user_function


def work_ns(spec: TrialSpec) -> int | None:
    """Calibrate the workload of a trial again, and return the duration of its planned size, ns.

    The size itself stays, so that all systems of a block run the same tasks; but the plan's
    calibration may be an hour old, and the speed of a shared machine changes within minutes. An
    overhead is computed from this duration. None if the size is not a duration.
    """
    if not spec.nominal_ns or not spec.size or user_function.is_user_function(spec.workload):
        return None
    _, module = registry.workload(spec.workload)
    # The size of a calibrated workload is typed in microseconds.
    same_now = int(module.calibrate(spec.nominal_ns // 1_000))
    return round(spec.nominal_ns * spec.size / same_now)
