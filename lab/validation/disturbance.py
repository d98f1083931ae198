"""Decides from the host's counters whether a trial was disturbed (METHOD M23)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lab.core.faults import FaultKind
from lab.core.model import Flag
from lab.recording.host_counters import TICK_S, HostReading, unused_s
from lab.running.trial import TrialObservation
from lab.validation import contention
from lab.validation.contention import Contention
from lab.validation.issue import Issue


@dataclass(frozen=True, slots=True)
class Disturbance:
    """The disturbance between two readings: shares of 1, and counts.

    `cpu_taken`, `other_cpu`, `cpu_wait` and `roles` are those of `lab.validation.contention`.
    """

    steal: float | None
    cpu_taken: float | None
    roles: str
    other_cpu: float | None
    cpu_wait: float | None
    pressure_cpu: float | None
    pressure_memory: float | None
    pressure_io: float | None
    throttled: float | None
    swap_ins: float | None
    oom_kills: float | None
    resolution: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """The values above which a signal makes a trial noisy, or disturbed."""

    signal: str
    noisy_above: float
    disturbed_above: float
    sentence: str
    scale: float = 100


# The part of METHOD M23's table that comes from the machine's counters; problems in the trial's
# records come as findings. CPU pressure has no threshold: saturated workers raise it too. Neither
# has the speed of the CPU: it is the machine's own spread, which interleaving spreads over all
# systems and which widens their intervals.
THRESHOLDS = (
    Threshold("steal", 0.01, 0.05, "the hypervisor took CPU time: {:.1f} %"),
    Threshold(
        "cpu_taken",
        0.02,
        0.10,
        "other processes took CPU time: {:.1f} % of the CPUs of the {roles}",
    ),
    Threshold("throttled", 0.01, 0.10, "a CPU quota stopped the lab: in {:.1f} % of its periods"),
    Threshold("pressure_memory", 0.001, math.inf, "all threads waited for memory: {:.1f} %"),
    Threshold("swap_ins", 0, math.inf, "pages were read back from swap: {:.0f}", 1),
    Threshold("oom_kills", 0, 0, "memory was full, and the kernel killed processes: {:.0f}", 1),
)
UNKNOWN = Contention(None, None, None, "")
# Read in ticks of 10 ms: only the part above the resolution of the window is used.
IN_TICKS = ("steal", "cpu_taken")


def observed(outcome: TrialObservation, *, has_hits: bool = False) -> Disturbance | None:
    """Return the disturbance of a trial's window; None if the lab did not see its two ends.

    The uninstrumented burst is part of it, because the throughput is computed from that burst.
    """
    begin, end = outcome.begin, outcome.last or outcome.end
    if begin is None or end is None:
        return None
    uses = contention.uses(outcome.placement, begin, end)
    # The use of this machine by others is not known without that of the roles on it.
    is_remote = outcome.placement.is_remote
    contended = UNKNOWN if is_remote else contention.contention(begin.host, end.host, uses)
    cpus = contention.cpus_of_trial(outcome.placement)
    disturbed = disturbance(begin.host, end.host, contended, cpus)
    if not has_hits:
        return disturbed
    # The CPU time of a process that was killed is unknown, and would count as that of others; a
    # fault may let the kernel kill a process for its memory.
    fault = outcome.spec.fault
    has_killer = fault is not None and fault.kind is FaultKind.WORKER_OOM
    oom_kills = None if has_killer else disturbed.oom_kills
    return replace(disturbed, cpu_taken=None, other_cpu=None, cpu_wait=None, oom_kills=oom_kills)


def disturbance(
    before: HostReading, after: HostReading, contended: Contention, cpus: Iterable[int]
) -> Disturbance:
    """Compare two readings (formulas of METHOD M23); `cpus` are those of the trial."""

    def change(name: str) -> float | None:
        begin, end = getattr(before, name), getattr(after, name)
        return None if begin is None or end is None else float(end - begin)

    window_s = (after.t_ns - before.t_ns) / 1e9
    readable = before.cpus.keys() & after.cpus.keys() & {*cpus}
    steal_s = unused_s(before, after, readable).steal_s
    return Disturbance(
        steal=_share(steal_s, len(readable) * window_s),
        cpu_taken=contended.cpu_taken,
        roles=contended.roles,
        other_cpu=contended.other_cpu,
        cpu_wait=contended.cpu_wait,
        pressure_cpu=_share(change("pressure_cpu_us"), window_s * 1e6),
        pressure_memory=_share(change("pressure_memory_us"), window_s * 1e6),
        pressure_io=_share(change("pressure_io_us"), window_s * 1e6),
        throttled=_share(change("throttled"), change("quota_periods")),
        swap_ins=change("swap_ins"),
        oom_kills=change("oom_kills"),
        # Rounding: one tick per CPU at each end, 2 % of a second and 0.1 % of twenty seconds.
        resolution=2 * TICK_S / window_s if window_s else 1.0,
    )


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def judge_disturbance(
    disturbed: Disturbance | None, findings: Iterable[Issue] = ()
) -> tuple[Flag, tuple[str, ...]]:
    """Return the worst flag of all signals and findings, and the reason for each flag.

    `disturbed` is None for a trial without a window.
    """
    signals = [] if disturbed is None else [_judged(disturbed, t) for t in THRESHOLDS]
    problems = [(finding.flag, finding.reason) for finding in findings]
    flags = [(flag, reason) for flag, reason in signals + problems if flag != Flag.OK]
    worst = max((flag for flag, _ in flags), key=list(Flag).index, default=Flag.OK)
    return worst, tuple(reason for _, reason in flags)


def _judged(disturbed: Disturbance, threshold: Threshold) -> tuple[Flag, str]:
    value: float | None = getattr(disturbed, threshold.signal)
    if value is None:
        return Flag.OK, ""
    # The flag needs what is certain; the sentence shows the value that the row has.
    certain = value - (disturbed.resolution if threshold.signal in IN_TICKS else 0)
    reason = threshold.sentence.format(value * threshold.scale, roles=disturbed.roles)
    if certain > threshold.disturbed_above:
        return Flag.DISTURBED, reason
    return (Flag.NOISY if certain > threshold.noisy_above else Flag.OK), reason
