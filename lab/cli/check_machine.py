"""Checks the CPUs, the clock, the noise and the disk of this machine, for `lab doctor`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.cli import busy
from lab.cli.check import Check, Health
from lab.core.placement import available_cpus
from lab.recording import cpu_users

FREE_GIB = 1.0
# One read takes a microsecond, and a whole record may cost half of that (METHOD M19).
SLOW_CLOCKS = ("acpi_pm", "hpet", "jiffies", "refined-jiffies")
# A virtual machine usually has no governor to read, and its user can change none.
STEADY_GOVERNORS = ("performance", "")
CLOCK_SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
NO_LIMITS = ("none", "")


def cpus(facts: Mapping[str, str]) -> Check:
    """Check how many CPUs the lab can use."""
    # An affinity or a container may allow fewer CPUs than the machine has.
    usable, all_cpus = len(available_cpus()), os.cpu_count() or 1
    finding = f"{usable} of {all_cpus} CPUs can be used, {facts['cpu.cores'] or '?'} cores."
    if usable == 1:
        finding += " Driver, servers and workers share it, which dominates the latencies."
        return Check("cpus", Health.WARN, finding, "nproc --all, and use at least two of them")
    return Check("cpus", Health.OK, finding)


def quota(facts: Mapping[str, str]) -> Check:
    """Check that no CPU quota stops the processes of a trial."""
    limit = facts["cgroup.cpu_limit"]
    if limit in NO_LIMITS:
        return Check("quota", Health.OK, "This process has no CPU quota.")
    # A slower core would not add this latency (METHOD M22); a smaller set of whole CPUs is better.
    finding = f"A quota of {limit} CPUs stops processes during a task until the next period."
    return Check("quota", Health.WARN, finding, "docker run --cpuset-cpus 0,1, without --cpus")


def governor(facts: Mapping[str, str]) -> Check:
    """Check that the clock rate does not depend on the load."""
    governor = facts["cpu.governor"]
    finding = f"CPU frequency governor: {governor or 'not readable (usual in a virtual machine)'}."
    if governor in STEADY_GOVERNORS:
        return Check("governor", Health.OK, finding)
    fix = "sudo cpupower frequency-set -g performance"
    return Check("governor", Health.WARN, f"{finding} The clock rate depends on the load.", fix)


def cgroups(facts: Mapping[str, str]) -> Check:
    """Check that the limits of this process can be read."""
    if version := facts["cgroup.version"]:
        return Check("cgroups", Health.OK, f"Version {version}.")
    finding = "Not available: limits cannot be read."
    # Control groups exist only on Linux: elsewhere there is nothing to fix.
    if sys.platform != "linux":
        return Check("cgroups", Health.OK, finding)
    return Check("cgroups", Health.WARN, finding, "sudo mount -t cgroup2 none /sys/fs/cgroup")


def clock(facts: Mapping[str, str]) -> Check:
    """Check that a read of the clock is cheap."""
    source = facts["clock.source"]
    if source in SLOW_CLOCKS:
        finding = f"Clock source {source}: one read takes about a microsecond."
        return Check("clock", Health.WARN, finding, f"echo tsc | sudo tee {CLOCK_SOURCE}")
    return Check("clock", Health.OK, f"Clock source: {source or 'not readable'}.")


def noise() -> Check:
    """Check for a second how much of the CPUs other processes use."""
    users = cpu_users.watch(available_cpus())
    if finding := busy.finding(users):
        return Check("noise", Health.WARN, finding, busy.ADVICE)
    shares = {"stolen": users.steal, "used by others": users.share}
    texts = [f"{share:.1%} {name}" for name, share in shares.items() if share is not None]
    finding = f"CPU time in one second: {', '.join(texts) or 'not readable'}."
    return Check("noise", Health.OK, finding)


def disk(results: Path) -> Check:
    """Check the space for results, and the right to write them."""
    # Before the first run the folder does not exist, and `disk_usage` needs one that does.
    folder = next(p for p in (results.absolute(), *results.absolute().parents) if p.exists())
    free_gib = shutil.disk_usage(folder).free / 2**30
    finding = f"{free_gib:.1f} GiB are free for results."
    if not os.access(folder, os.W_OK):
        finding = "The results folder is not writable."
        return Check("disk", Health.MISSING, finding, "lab bench --results FOLDER")
    if free_gib < FREE_GIB:
        finding += f" A campaign needs {FREE_GIB:.0f}."
        return Check(
            "disk", Health.WARN, finding, f"du -s {results}/runs/* | sort -n, and remove some"
        )
    return Check("disk", Health.OK, finding)
