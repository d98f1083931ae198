"""Tests noxfile.py: the list of sessions, its script header, and the state of environments."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.factories.scripts import script

ROOT = Path(__file__).parents[2]
noxfile = script("noxfile.py")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that was installed from a small lock and pyproject.toml in `tmp_path`."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/bench.txt").write_text("celery==5.7.0")
    (tmp_path / "pyproject.toml").write_text("[project]")
    monkeypatch.setattr(noxfile, "ROOT", tmp_path)
    (tmp_path / noxfile.STAMP).write_text(noxfile.fingerprint("bench"))
    return tmp_path


def test_list_describes_every_session() -> None:
    """`nox -l` prints one sentence per session, selects tests and lint, and prints no warning."""
    command = [sys.executable, "-W", "always", "-m", "nox", "--list"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    sessions = re.findall(r"^([*-]) (\w+)\S* -> (.+)$", listed.stdout, re.MULTILINE)
    expected = {
        "bench",
        "lab",
        "claims",
        "report",
        "publish",
        "compare",
        "history",
        "serve",
        "images",
        "tests",
        "pythons",
        "coverage",
        "docs",
        "lint",
        "perf",
        "fidelity",
        "lock",
    }
    assert {name for _, name, _ in sessions} == expected
    assert {name for mark, name, _ in sessions if mark == "*"} == {"tests", "lint"}
    assert all(re.fullmatch(r"[A-Z][^.]*(?:[.]txt[^.]*)*\.", sentence) for *_, sentence in sessions)
    assert listed.stderr == ""


def test_programs_of_an_environment_have_absolute_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab finds redis-server in the environment, and starts it in the folder of a trial."""
    monkeypatch.setattr(noxfile, "is_current", lambda *_: True)
    session = Mock(cache_dir=Path(".nox/.cache"), posargs=())
    noxfile.claims(session)
    (program, *_), options = session.run.call_args
    folder, *_ = options["env"]["PATH"].split(":")
    assert Path(program).is_absolute()
    assert Path(folder).is_absolute()


def test_script_header_declares_python_and_packages() -> None:
    """`uv run noxfile.py` reads the Python version and the packages from the header."""
    block = re.search(
        r"^# /// script\n((?:# .*\n)+)# ///$", (ROOT / "noxfile.py").read_text(), re.MULTILINE
    )
    assert block
    header = tomllib.loads(block.group(1).replace("# ", ""))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert header == {"requires-python": project["requires-python"], "dependencies": ["nox"]}


def test_environment_is_current_with_unchanged_sources(environment: Path) -> None:
    """A second call installs nothing."""
    assert noxfile.is_current(environment, "bench")


@pytest.mark.parametrize("changed", ["requirements/bench.txt", "pyproject.toml"])
def test_environment_is_stale_after_a_change_of_a_source(environment: Path, changed: str) -> None:
    """After a change of the lock or of pyproject.toml, the next call installs."""
    (environment / changed).write_text("something else")
    assert not noxfile.is_current(environment, "bench")


def test_environment_is_stale_after_an_interrupted_installation(environment: Path) -> None:
    """Without a stamp, the next call installs."""
    (environment / noxfile.STAMP).unlink()
    assert not noxfile.is_current(environment, "bench")


def test_sessions_of_one_lock_share_the_environment_of_its_session() -> None:
    """Each lock has one environment, in the session of its name; the others create none."""
    sessions = {
        name: session
        for name, session in vars(noxfile).items()
        if hasattr(session, "venv_backend") and name != "lock"
    }
    owners = {name for name, session in sessions.items() if session.venv_backend != "none"}
    assert owners == {"bench", "images", "lint", "pythons", "tests"}


def test_session_without_an_environment_creates_that_of_its_lock(tmp_path: Path) -> None:
    """On a first call, nox installs the session named like the lock, then runs the program."""
    session = Mock(cache_dir=tmp_path / ".cache", posargs=["RUN"])
    noxfile.report(session)
    create = ["--noxfile", noxfile.__file__, "--envdir", str(tmp_path), "--install-only"]
    session.run_install.assert_called_once_with(
        sys.executable, "-m", "nox", *create, "--session", "bench", external=True
    )
    (ran,) = session.run.call_args_list
    assert ran.args == (str(tmp_path / "bench/bin/lab"), "report", "RUN")
    assert ran.kwargs["env"]["PATH"].startswith(f"{tmp_path / 'bench/bin'}:")


def test_session_with_an_environment_installs_nothing(tmp_path: Path) -> None:
    """Only the environment of the lock itself must be current."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / noxfile.STAMP).write_text(noxfile.fingerprint("tests"))
    session = Mock(cache_dir=tmp_path / ".cache", posargs=[])
    noxfile.perf(session)
    session.run_install.assert_not_called()
    session.run.assert_called_once()
