"""The commands of README: listed, explained, and in environments that are what their lock says."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("lab_noxfile", ROOT / "noxfile.py")
assert SPEC
assert SPEC.loader
noxfile = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(noxfile)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that was made from a small lock and pyproject, both in `tmp_path`."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/bench.txt").write_text("celery==5.7.0")
    (tmp_path / "pyproject.toml").write_text("[project]")
    monkeypatch.setattr(noxfile, "ROOT", tmp_path)
    (tmp_path / noxfile.STAMP).write_text(noxfile.fingerprint("bench"))
    return tmp_path


def test_the_list_of_commands_explains_itself() -> None:
    """`nox -l` names each command with one sentence, selects tests and lint, and does not warn."""
    command = [sys.executable, "-W", "always", "-m", "nox", "--list"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = re.findall(r"^([*-]) (\w+) -> (.+)$", listed.stdout, re.MULTILINE)
    wanted = {
        "bench",
        "claims",
        "report",
        "publish",
        "compare",
        "history",
        "serve",
        "images",
        "tests",
        "coverage",
        "lint",
        "perf",
        "fidelity",
        "lock",
    }
    assert {name for _, name, _ in told} == wanted
    assert {name for mark, name, _ in told if mark == "*"} == {"tests", "lint"}
    assert all(re.fullmatch(r"[A-Z][^.]*(?:[.]txt[^.]*)*\.", sentence) for *_, sentence in told)
    assert listed.stderr == ""


def test_the_noxfile_is_a_script_that_names_its_needs() -> None:
    """`uv run noxfile.py` knows from the header which Python and which packages it takes."""
    block = re.search(
        r"^# /// script\n((?:# .*\n)+)# ///$", (ROOT / "noxfile.py").read_text(), re.MULTILINE
    )
    assert block
    header = tomllib.loads(block.group(1).replace("# ", ""))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert header == {"requires-python": project["requires-python"], "dependencies": ["nox"]}


def test_an_environment_is_current_until_what_it_was_made_from_changes(environment: Path) -> None:
    """A second call installs nothing."""
    assert noxfile.is_current(environment, "bench")


@pytest.mark.parametrize("changed", ["requirements/bench.txt", "pyproject.toml"])
def test_a_changed_source_makes_an_environment_stale(environment: Path, changed: str) -> None:
    """A new lock or a new pyproject is installed at the next call."""
    (environment / changed).write_text("something else")
    assert not noxfile.is_current(environment, "bench")


def test_an_environment_half_made_is_stale(environment: Path) -> None:
    """An installation that was cut short left no stamp, and is done again."""
    (environment / noxfile.STAMP).unlink()
    assert not noxfile.is_current(environment, "bench")
