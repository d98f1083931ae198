"""Checks the programs and packages that the lab and its backends need, for `lab doctor`."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence

from lab.cli.check import Check, Health
from lab.core.backend import Backend
from lab.core.errors import ClusterError, UsageError
from lab.core.installing import install_command
from lab.environments import interpreters
from lab.host import faked_clock
from lab.host.environment import git_state
from lab.planning.registry import left_out, missing, needed_python
from lab.providers import crontab
from lab.providers.redis_program import redis_server

NEEDED_PYTHON = (3, 11)


def python() -> Check:
    """Check the version of Python."""
    finding = f"{platform.python_implementation()} {platform.python_version()}."
    if sys.version_info < NEEDED_PYTHON:
        return Check("python", Health.MISSING, finding, "uvx --python 3.11 nox -s bench")
    return Check("python", Health.OK, finding)


def interpreter_lock(facts: Mapping[str, str]) -> Check:
    """Say whether threads run Python code in parallel."""
    if facts["python.gil"] == "1":
        return Check("threads", Health.OK, "One thread at a time runs Python (the usual build).")
    return Check("threads", Health.OK, "Free-threaded: threads run Python code in parallel.")


def git() -> Check:
    """Check that rows can contain the commit of the lab."""
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


def redis() -> Check:
    """Say which Redis server is used, or Valkey, and check that the machine updates it."""
    try:
        program = redis_server()
    except ClusterError as error:
        return Check("redis", Health.MISSING, str(error), "sudo apt install redis-server")
    server = f"{program.name.title()} {program.version}"
    if program.origin != "machine":
        finding = f"{server} from a {program.origin}: updates of the machine do not reach it."
        return Check("redis", Health.WARN, finding, "sudo apt install redis-server")
    return Check("redis", Health.OK, f"{server}, origin: {program.origin}.")


def cron() -> Check:
    """Check that a cron daemon runs."""
    try:
        return Check("cron", Health.OK, f"Runs: {crontab.find_crontab().about}.")
    except ClusterError as error:
        finding, _, fix = str(error).partition(" Run: ")
        return Check("cron", Health.MISSING, f"{finding} django-crontab needs it.", fix)


def library_of_clock_step() -> Check:
    """Check that the library for the fault clock-step is installed."""
    if faked_clock.library():
        return Check("clock-step", Health.OK, "libfaketime is installed for the fault clock-step.")
    finding = "The fault clock-step needs libfaketime, which is not installed."
    return Check("clock-step", Health.WARN, finding, install_command("faults"))


def backends(backends: Mapping[str, type[Backend]]) -> Iterator[Check]:
    """Check the packages of each backend and variant, and the entries of other packages."""
    for name, backend in backends.items():
        yield _python_of(name, backend) or _packages(name, backend.packages, backend.extra)
        for variant in backend.variants:
            if variant.packages:
                yield _packages(f"{name}[{variant.name}]", variant.packages, backend.extra)
    for entry in left_out():
        finding = f"Left out: {entry.reason}."
        fix = "update or uninstall the package that contains it"
        yield Check(f"{entry.kind} {entry.name}", Health.MISSING, finding, fix)


def _python_of(name: str, backend: type[Backend]) -> Check | None:
    """Check that there is an interpreter for a backend that the lab's is too old for."""
    if not (version := needed_python(backend)):
        return None
    try:
        python = interpreters.find(version)
    except UsageError:
        finding = f"Needs Python {version}, which this machine lacks."
        fix = f"python -m uv python install {version}"
        return Check(f"backend {name}", Health.WARN, finding, fix)
    return Check(f"backend {name}", Health.OK, f"Runs with --python {version}: {python}.")


def _packages(name: str, packages: Sequence[str], extra: str) -> Check:
    names = ", ".join(packages)
    if (package := missing(packages)) is None:
        finding = f"Installed: {names}." if packages else "Needs only Python."
        return Check(f"backend {name}", Health.OK, finding)
    finding = f"Needs {names}; {package} is not installed."
    return Check(f"backend {name}", Health.MISSING, finding, install_command(extra))
