# /// script
# requires-python = ">=3.11"
# dependencies = ["nox"]
# ///
"""Defines the lab's commands; `nox -l` lists them, and arguments after `--` go to the command.

A session runs in a virtual environment with exactly the packages that its lock in `requirements/`
pins, every file checked against its hash. Sessions of one lock share its environment. nox creates
it at the first call, and again when the lock or pyproject.toml has changed.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2025.2.9"  # the first that reads the script header above
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
# Also in CI: a session for a Python that is missing is reported as skipped.
nox.options.error_on_missing_interpreters = False

ROOT = Path(__file__).parent
STAMP = "installed-from.sha256"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def _groups(*names: str) -> tuple[str, ...]:
    return tuple(f"--group={name}" for name in names)


# The sources of each lock. A later lock pins the packages of earlier ones at the same versions. The
# extra `all` leaves out what is in an environment of its own only.
LOCKS = {
    "build": ("--group=pyproject.toml:build",),
    "bench": ("pyproject.toml", "--extra=all", "--group=build"),
    "tests": ("pyproject.toml", "--extra=all", *_groups("build", "docs", "tests")),
    "lint": ("pyproject.toml", "--extra=all", *_groups("build", "docs", "tests", "lint")),
    "images": ("--group=pyproject.toml:build", "--group=pyproject.toml:images"),
    "nox": ("--group=pyproject.toml:nox",),
}
# Each extra of a system has one more lock, for environments that contain the system alone.
ENVIRONMENTS, PINS = ROOT / "lab" / "environments" / "locks", "requirements/bench.txt"
# Time for the lab to stop its workers and save finished trials; the default of nox is 0.3 s.
PATIENCE_S = 60.0
# More processes than CPUs, because tests wait for schedules and processes half of their time.
PARALLEL = ("--numprocesses", str(2 * (os.cpu_count() or 1)), "--dist", "worksteal")

Run = Callable[..., None]
Recipe = Callable[[nox.Session, Run], None]


def lock_file(lock: str) -> Path:
    """Return the file that holds the pins of `lock`."""
    return ROOT / "requirements" / f"{lock}.txt"


def fingerprint(lock: str) -> str:
    """Return a hash of the files that define an environment; it changes when they do."""
    sources = (lock_file(lock), ROOT / "pyproject.toml")
    return hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()


def is_current(environment: Path, lock: str) -> bool:
    """Return whether `environment` was installed from the present `lock`."""
    stamp = environment / STAMP
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint(lock)


def extras() -> dict[str, list[str]]:
    """Return the requirements of each extra of one system."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements: dict[str, list[str]] = project["optional-dependencies"]
    return {name: texts for name, texts in requirements.items() if name not in ("all", "faults")}


def install(session: nox.Session, lock: str) -> None:
    """Install the packages of `lock`, then the project; every download has a pinned hash.

    Build tools are installed first, from a separate lock. One package is built from source, because
    its newest release has no wheel.
    """
    pins = re.findall(r"^[\w.-]+(?===)", lock_file(lock).read_text(encoding="utf-8"), re.MULTILINE)
    session.log(f"Installing {len(set(pins))} pinned packages: up to a minute, the first time.")
    # pip compiles modules during the installation, uv only with this option; workers may have no
    # permission to write compiled modules later. lint does not need it: it starts programs once.
    needs_option = session.venv_backend == "uv" and lock != "lint"
    compiled = ("--compile-bytecode",) if needs_option else ()
    hashed = ("--require-hashes", "--only-binary=:all:")
    session.install(*compiled, *hashed, "-r", str(lock_file("build")), log=False)
    built = ("--no-build-isolation", "--no-binary=django-crontab")
    session.install(*compiled, *hashed, *built, "-r", str(lock_file(lock)), log=False)
    session.install("--no-index", "--no-deps", "--no-build-isolation", "-e", str(ROOT), log=False)
    # `nox -R` skips an install step, so that the stamp does not change without an installation.
    write = f"import sys; open(sys.argv[1], 'w').write({fingerprint(lock)!r})"
    stamp = Path(session.virtualenv.location, STAMP)
    session.run_install("python", "-c", write, str(stamp), log=False)


def locked(lock: str, *, default: bool = False) -> Callable[[Recipe], object]:
    """Declare a session that runs programs of the environment installed from `lock`.

    The environment belongs to the session with the name of the lock. Other sessions use it, and let
    nox create it first if it is missing or older than the lock: one environment is 840 MB.
    """

    def declare(recipe: Recipe) -> object:
        is_owner = recipe.__name__ == lock

        @functools.wraps(recipe)
        def run(session: nox.Session) -> None:
            # Absolute, because the lab starts programs of it from the folders of trials.
            environment = (session.cache_dir.parent / lock).absolute()
            if is_owner and not is_current(environment, lock):
                install(session, lock)
            elif not is_current(environment, lock):
                create = ("-m", "nox", "--noxfile", __file__, "--envdir", str(environment.parent))
                command = (sys.executable, *create, "--install-only", "--session", lock)
                session.run_install(*command, external=True)
            recipe(session, functools.partial(run_in, environment, session))

        # An environment of an older lock is deleted first, so that none of its packages remain.
        usual = ROOT / ".nox" / lock
        owned = {"reuse_venv": is_current(usual, lock)} if is_owner else {"venv_backend": "none"}
        return nox.session(default=default, **owned)(run)

    return declare


def run_in(
    environment: Path, session: nox.Session, program: str, *arguments: str, **options: Any
) -> None:
    """Run a program of an environment; `options` are those of `nox.Session.run`."""
    if program == "lab":
        session.log("Where a message says `lab ...`, type: nox -s lab -- ...")
    programs = environment / "bin"
    path = os.pathsep.join((str(programs), os.environ.get("PATH", "")))
    active = {"PATH": path, "VIRTUAL_ENV": str(environment)}
    session.run(str(programs / program), *arguments, env=active, external=True, **options)


@locked("bench")
def bench(session: nox.Session, run: Run) -> None:
    """Run a campaign and print where its tables and report are; `-- --help` lists the options."""
    run("lab", "bench", *session.posargs, interrupt_timeout=PATIENCE_S)


@locked("bench")
def lab(session: nox.Session, run: Run) -> None:
    """Run any command of the lab, for example `-- doctor`; without one, list the commands."""
    run("lab", *(session.posargs or ("--help",)), interrupt_timeout=PATIENCE_S)


@locked("bench")
def report(session: nox.Session, run: Run) -> None:
    """Rebuild the report of a finished run from its tables."""
    run("lab", "report", *session.posargs)


@locked("bench")
def claims(session: nox.Session, run: Run) -> None:
    """Test published claims about the backends and print each with its verdict."""
    run("lab", "claims", *session.posargs, interrupt_timeout=PATIENCE_S)


@locked("bench")
def compare(session: nox.Session, run: Run) -> None:
    """Compare two runs, commits or backends; exit with 4 on a regression."""
    run("lab", "compare", *session.posargs, interrupt_timeout=PATIENCE_S)


@locked("bench")
def history(session: nox.Session, run: Run) -> None:
    """Build asv's pages over all commits, and the page of change points."""
    run("lab", "history", *session.posargs)


@locked("bench")
def serve(session: nox.Session, run: Run) -> None:
    """Serve asv's pages on loopback; `nox -s history` builds them."""
    pages = ("python", "-m", "lab.history.serve")
    run(*pages, *session.posargs, interrupt_timeout=PATIENCE_S)


@locked("bench")
def publish(session: nox.Session, run: Run) -> None:
    """Write a run as a data package to upload: tables, dictionary, checksums, lock."""
    run("lab", "publish", *session.posargs)


@locked("images")
def images(session: nox.Session, run: Run) -> None:
    """Pull or build the container images; `-- --lock` pins the official ones by digest."""
    run("python", "-m", "lab.providers.images", *session.posargs)


@locked("tests", default=True)
def tests(session: nox.Session, run: Run) -> None:
    """Run the fast tests; with `CI` set, the slow tests and container tests as well."""
    everything = ("-m", "") if os.environ.get("CI") else ()
    # Selected tests run in one process, which `-x`, `--pdb` and printed output need.
    chosen = session.posargs or PARALLEL
    run("pytest", *everything, *chosen)


@nox.session(python=PYTHONS, default=False)
def pythons(session: nox.Session) -> None:
    """Run the fast tests on each supported Python of this machine; others are skipped."""
    environment = Path(session.virtualenv.location).absolute()
    if not is_current(environment, "tests"):
        install(session, "tests")
    run_in(environment, session, "pytest", *(session.posargs or PARALLEL))


@locked("tests")
def coverage(session: nox.Session, run: Run) -> None:
    """Measure the branch coverage of the fast tests, without a threshold."""
    reports = ("--cov", "--cov-report=term", "--cov-report=markdown:coverage.md")
    run("pytest", *reports, *(session.posargs or PARALLEL))


@locked("lint", default=True)
def lint(_: nox.Session, run: Run) -> None:
    """Check style, types, wording, and the pinned packages for known vulnerabilities."""
    run("ruff", "check", ".")
    run("ruff", "format", "--check", ".")
    run("mypy")
    run("python", ".ci/wording.py")
    run("python", ".ci/audit.py", str(lock_file("lint")))


@locked("tests")
def docs(session: nox.Session, run: Run) -> None:
    """Build the site in build/site from the Markdown pages, with search and without network."""
    build = ("python", "-m", "sphinx", "-c", "docs", "-q", "-W", "-b", "html")
    run(*build, "-d", "build/doctrees", ".", "build/site", *session.posargs)
    session.log("The site: build/site/index.html")


@locked("tests")
def perf(session: nox.Session, run: Run) -> None:
    """Time parts of the lab with pytest-benchmark: recorder, pacer, task wrapper, history."""
    run("pytest", "-m", "", "tests/perf", "--benchmark-enable", *session.posargs)


@locked("tests")
def fidelity(session: nox.Session, run: Run) -> None:
    """Compare the lab with a minimal script for each backend, in interleaved pairs."""
    run("python", "-m", "tests.fidelity.compare", *session.posargs)


@nox.session(default=False, venv_backend="none")
def lock(session: nox.Session) -> None:
    """Write requirements/*.txt with uv; `-- --upgrade` pins the newest releases."""
    quiet = ("--quiet", "--no-emit-index-url", "--no-emit-find-links")
    exact = ("--universal", "--python-version=3.11", "--generate-hashes")
    same: tuple[str, ...] = ()
    for name, parts in LOCKS.items():
        file = lock_file(name).relative_to(ROOT).as_posix()
        command = ("uv", "pip", "compile", *parts, *exact, *quiet, *same)
        header = ("--custom-compile-command", "nox -s lock")
        session.run(*command, *header, *session.posargs, "-o", file, external=True)
        same = (*same, "--constraints", file)
    for extra, requirements in sorted(extras().items()):
        source = Path(session.create_tmp(), f"{extra}.in")
        source.write_text("\n".join(requirements), encoding="utf-8")
        file = (ENVIRONMENTS / f"{extra}.txt").relative_to(ROOT).as_posix()
        command = ("uv", "pip", "compile", str(source), *exact, *quiet, "--no-annotate")
        pins = ("--constraints", PINS)
        session.run(*command, *pins, *header, *session.posargs, "-o", file, external=True)


if __name__ == "__main__":
    nox.main()
