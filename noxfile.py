# /// script
# requires-python = ">=3.11"
# dependencies = ["nox"]
# ///
"""The lab's commands; `nox -l` lists them, and what follows `--` goes on to the command.

Each session lives in an environment that holds exactly what its lock in `requirements/` pins, every
file checked against its hash. It is made once, and anew when the lock or pyproject.toml changes.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"  # the first that reads the header above
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"

ROOT = Path(__file__).parent
STAMP = "installed-from.sha256"
# What each lock pins. A later one has what those before it pin at the same versions.
LOCKS = {
    "build": ("--group=pyproject.toml:build",),
    "bench": ("pyproject.toml", "--all-extras", "--group=build"),
    "tests": ("pyproject.toml", "--all-extras", "--group=build", "--group=tests"),
    "lint": ("pyproject.toml", "--all-extras", "--group=build", "--group=tests", "--group=lint"),
    "images": ("--group=pyproject.toml:build", "--group=pyproject.toml:images"),
    "nox": ("--group=pyproject.toml:nox",),
}
# The lab stops its workers and writes down what is finished; nox alone would give it 0.3 s.
PATIENCE_S = 60.0
# Half of a test's time, or more, is waiting: for a schedule, or for something to start or to end.
SIDE_BY_SIDE = ("--numprocesses", str(2 * (os.cpu_count() or 1)), "--dist", "worksteal")

Recipe = Callable[[nox.Session], None]


def lock_file(lock: str) -> Path:
    """Where the pins of `lock` are."""
    return ROOT / "requirements" / f"{lock}.txt"


def fingerprint(lock: str) -> str:
    """Tell whether an environment is current: a hash of all that decides what is in it."""
    sources = (lock_file(lock), ROOT / "pyproject.toml")
    return hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()


def is_current(environment: Path, lock: str) -> bool:
    """Whether `environment` was made from `lock` as it is now."""
    stamp = environment / STAMP
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint(lock)


def install(session: nox.Session, lock: str) -> None:
    """Install what `lock` pins, then the project; nothing is downloaded whose hash is not pinned.

    That holds for build tools too: they are installed first, from a lock of their own. One package
    is built from source, because its author published no wheel of its newest release.
    """
    pins = re.findall(r"^[\w.-]+(?===)", lock_file(lock).read_text(encoding="utf-8"), re.MULTILINE)
    session.log(f"Installing {len(set(pins))} pinned packages: up to a minute, the first time.")
    # pip compiles as it installs; uv has to be told, and workers may be forbidden to do it later.
    # Checking style starts each of its programs once.
    is_told = session.venv_backend == "uv" and lock != "lint"
    compiled = ("--compile-bytecode",) if is_told else ()
    hashed = ("--require-hashes", "--only-binary=:all:")
    session.install(*compiled, *hashed, "-r", str(lock_file("build")), log=False)
    built = ("--no-build-isolation", "--no-binary=django-crontab")
    session.install(*compiled, *hashed, *built, "-r", str(lock_file(lock)), log=False)
    session.install("--no-index", "--no-deps", "--no-build-isolation", "-e", str(ROOT), log=False)
    # As an install step, because `nox -R` skips those: the stamp must not say what is not so.
    write = f"import sys; open(sys.argv[1], 'w').write({fingerprint(lock)!r})"
    stamp = Path(session.virtualenv.location, STAMP)
    session.run_install("python", "-c", write, str(stamp), log=False)


def locked(lock: str, *, default: bool = False) -> Callable[[Recipe], object]:
    """Declare a session that runs in an environment made from `lock`.

    A stale environment is not reused, so that nothing of the old lock stays behind.
    """

    def declare(recipe: Recipe) -> object:
        @functools.wraps(recipe)
        def run(session: nox.Session) -> None:
            if not is_current(Path(session.virtualenv.location), lock):
                install(session, lock)
            recipe(session)

        usual = ROOT / ".nox" / recipe.__name__
        return nox.session(default=default, reuse_venv=is_current(usual, lock))(run)

    return declare


@locked("bench")
def bench(session: nox.Session) -> None:
    """Measure, and name the tables and the report; `-- --help` tells what can be chosen."""
    session.run("lab", "bench", *session.posargs, interrupt_timeout=PATIENCE_S)


@locked("bench")
def report(session: nox.Session) -> None:
    """Draw the report of a finished run anew from its tables."""
    session.run("lab", "report", *session.posargs)


@locked("bench")
def claims(session: nox.Session) -> None:
    """Try what people say of the systems, and print their table with our verdicts."""
    session.run("lab", "claims", *session.posargs, interrupt_timeout=PATIENCE_S)


@locked("bench")
def compare(session: nox.Session) -> None:
    """Say what moved between two runs, commits or backends; fail on a regression."""
    session.run("lab", "compare", *session.posargs, interrupt_timeout=PATIENCE_S)


@locked("bench")
def history(session: nox.Session) -> None:
    """Make asv's pages of all commits' runs, and a page of what became slower."""
    session.run("lab", "history", *session.posargs)


@locked("bench")
def serve(session: nox.Session) -> None:
    """Show asv's pages on this machine; `nox -s history` makes them."""
    pages = ("python", "-m", "lab.history.serve")
    session.run(*pages, *session.posargs, interrupt_timeout=PATIENCE_S)


@locked("bench")
def publish(session: nox.Session) -> None:
    """Make a folder of a run that is ready to upload: tables, dictionary, checksums, lock."""
    session.run("lab", "publish", *session.posargs)


@locked("images")
def images(session: nox.Session) -> None:
    """Pull or make the images of clusters in containers; `-- --lock` pins the official ones."""
    session.run("python", "-m", "lab.images", *session.posargs)


@locked("tests", default=True)
def tests(session: nox.Session) -> None:
    """Run the ordinary tests, and with CI set in the environment the slow ones as well."""
    everything = ("-m", "") if os.environ.get("CI") else ()
    # Who chooses tests wants to see them: `-x`, `--pdb` and what they print are for one process.
    chosen = session.posargs or SIDE_BY_SIDE
    session.run("pytest", *everything, *chosen)


@locked("lint", default=True)
def lint(session: nox.Session) -> None:
    """Check style, types, and the pinned packages for known vulnerabilities."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("python", ".ci/audit.py", str(lock_file("lint")))


@locked("tests")
def perf(session: nox.Session) -> None:
    """Time the lab's own parts with pytest-benchmark: recorder, pacer, kernel, history."""
    session.run("pytest", "tests/perf", "--benchmark-enable", *session.posargs)


@locked("tests")
def fidelity(session: nox.Session) -> None:
    """Compare the lab with the shortest honest script for each backend, in interleaved pairs."""
    session.run("python", "-m", "tests.fidelity.compare", *session.posargs)


@nox.session(default=False, venv_backend="none")
def lock(session: nox.Session) -> None:
    """Write requirements/*.txt with uv; `-- --upgrade` takes the newest releases."""
    quiet = ("--quiet", "--no-emit-index-url", "--no-emit-find-links")
    exact = ("--universal", "--python-version=3.11", "--generate-hashes")
    same: tuple[str, ...] = ()
    for name, parts in LOCKS.items():
        file = lock_file(name).relative_to(ROOT).as_posix()
        command = ("uv", "pip", "compile", *parts, *exact, *quiet, *same)
        told = ("--custom-compile-command", "nox -s lock")
        session.run(*command, *told, *session.posargs, "-o", file, external=True)
        same = (*same, "--constraints", file)


if __name__ == "__main__":
    nox.main()
