"""Plans how long the drain of a trial with a fault waits for redeliveries (METHOD M27, M29)."""

from __future__ import annotations

from collections.abc import Mapping

from lab.core.backend import settings_of
from lab.core.faults import HORIZONS, Fault, FaultKind
from lab.core.model import Periodic, TrialSpec
from lab.planning import fault_tasks, registry

# Without progress for this long, in addition to the pauses of the fault, nothing is expected any
# more: clients and workers reconnect within some 10 s (Celery, django-q2).
SETTLE_S = 15.0
# The longest drain that is planned for a redelivery. With the defaults, RQ takes 1,350 s and Celery
# on Redis 5,550 s: their tasks remain unknown, as METHOD M27 says.
LONGEST_DRAIN_S = 240.0
# A drain is longer than its redelivery by the execution of the task, and a look at the ledger.
SPARE_S = 5.0
# Kind -> the part of the longest wait that drains lasted, if the system delivers a started task
# again, and if it does not: means over the systems of results/reference/faults, for the estimate.
WAITED: Mapping[FaultKind, tuple[float, float]] = {
    FaultKind.NONE: (0.0, 0.0),
    FaultKind.WORKER_TERM: (0.2, 0.0),
    FaultKind.WORKER_PAUSE: (1.0, 0.0),
    FaultKind.CHILD_KILL: (0.4, 1.0),
    FaultKind.IDLE_WORKER_KILL: (0.5, 0.7),
    FaultKind.WORKER_KILL: (0.7, 1.0),
    FaultKind.WORKER_OOM: (0.8, 0.9),
    FaultKind.POISON: (1.0, 1.0),
}
OF_OTHERS = (1.0, 0.5)


def horizons_s(chosen: registry.SelectedBackend) -> tuple[float | None, float | None]:
    """Return the redelivery horizons of a task that waits, and of one that has started; s."""
    horizon_s = chosen.backend.redelivery_horizon_s
    settings = settings_of(chosen.backend, chosen.variant, chosen.profile)
    return horizon_s(settings), horizon_s(settings, is_started=True)


def deadline_s(chosen: registry.SelectedBackend, fault: Fault | None, preset_s: float) -> float:
    """Return the seconds after which the drain of a trial ends in any case.

    At least those of the preset, and so many that each task is decided, as far as that takes at
    most `LONGEST_DRAIN_S`.
    """
    # A task that outlives the horizon is itself longer than a short preset, which skips it.
    if fault is None or fault.kind is FaultKind.OUTLIVE:
        return preset_s
    waits_s = [
        fault.pauses_s + HORIZONS * horizon + SPARE_S for horizon in horizons_s(chosen) if horizon
    ]
    return max([preset_s, *(wait for wait in waits_s if wait <= LONGEST_DRAIN_S)])


def undecided_after_s(spec: TrialSpec) -> float | None:
    """Return the redelivery horizon if the drain of a trial is too short for it; None: it is not.

    Infinity for a system that may deliver a task again after any time.
    """
    is_of_tasks = not isinstance(spec.arrival, Periodic)
    if spec.fault is None or spec.fault.kind is FaultKind.NONE or not is_of_tasks:
        return None
    longest = max((h or 0.0 for h in horizons_s(registry.select(spec.label))), default=0.0)
    return longest if HORIZONS * longest > spec.deadline_s else None


def wait_s(spec: TrialSpec) -> float:
    """Return for how many seconds a drain is expected to wait for redeliveries."""
    fault = spec.fault
    if fault is None or isinstance(spec.arrival, Periodic):
        return 0.0
    if fault.kind is FaultKind.OUTLIVE:
        return fault_tasks.outlive_work_s(spec)
    _, started_s = horizons_s(registry.select(spec.label))
    share = WAITED.get(fault.kind, OF_OTHERS)[0 if started_s else 1]
    longest = fault.pauses_s + max(SETTLE_S, HORIZONS * (started_s or 0.0))
    return share * min(spec.deadline_s, longest)
