"""Words the check whether other processes use the CPUs: of `lab doctor`, and before a campaign."""

from __future__ import annotations

from lab.recording.cpu_users import CpuUsers
from lab.recording.host_counters import TICK_S
from lab.validation.disturbance import THRESHOLDS

ADVICE = "ps -e -o pcpu,pid,args --sort=-pcpu | head -5, and end them or measure later"
# Two ticks at each end of the second that `cpu_users.watch` takes.
RESOLUTION = 2 * TICK_S


def finding(users: CpuUsers) -> str:
    """Return what uses the CPUs and what that does to a trial; empty if trials would count."""
    # The limits of trials (METHOD M23), so that a warning means that trials would be flagged.
    limits = {limit.signal: limit for limit in THRESHOLDS}
    problems, is_disturbed = [], False
    for signal, share, words in (
        ("cpu_taken", users.share, "other processes use {:.0f} % of the {} CPUs"),
        ("steal", users.steal, "the hypervisor takes {:.0f} % of the {} CPUs"),
    ):
        # A share is None where the kernel does not count it: that is no reason for a warning.
        certain = (share or 0.0) - RESOLUTION
        if certain > limits[signal].noisy_above:
            problems.append(words.format((share or 0.0) * 100, users.cpus))
            is_disturbed |= certain > limits[signal].disturbed_above
    if not problems:
        return ""
    names = f" ({', '.join(users.names)})" if users.names else ""
    effect = (
        "A trial that they disturb keeps its number, which is marked and never ranked."
        if is_disturbed
        else "Trials that they slow down a little are marked as noisy."
    )
    return f"This machine is busy: {' and '.join(problems)} now{names}. {effect}"
