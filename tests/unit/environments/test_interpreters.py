"""Tests that interpreters are found by their versions, on the path and where pyenv has them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.core.errors import LabError, UsageError
from lab.environments import interpreters


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home; the path has the folder `bin` in it, and nothing else."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    interpreters._about.cache_clear()
    return tmp_path


def fake(folder: Path, name: str, version: str) -> Path:
    """Create a program that reports a version, as an interpreter does."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho /base/{name}\necho {version}\necho build of {version}\n")
    program.chmod(0o755)
    return program


def test_the_path_is_searched_first(home: Path) -> None:
    """An interpreter of pyenv has the version of that on the path, and is not used."""
    on_path = fake(home / "bin", "python3.13", "3.13.5")
    fake(home / ".pyenv/versions/3.13.5/bin", "python3.13", "3.13.5")
    assert interpreters.find("3.13") == on_path
    assert interpreters.identity(on_path) == (Path("/base/python3.13"), "build of 3.13.5")


def test_the_newest_of_pyenv_is_found_or_the_exact_version(home: Path) -> None:
    """By numbers, not by text: 3.13.10 is newer than 3.13.9."""
    folders = {n: home / f".pyenv/versions/3.13.{n}/bin" for n in (9, 10)}
    paths = {n: fake(folder, "python3.13", f"3.13.{n}") for n, folder in folders.items()}
    assert interpreters.find("3.13") == paths[10]
    assert interpreters.find("3.13.9") == paths[9]


def test_a_free_threaded_build_is_another_version(home: Path) -> None:
    """The program `python3.14` may be a free-threaded build, for which `3.14` does not ask."""
    fake(home / "bin", "python3.14", "3.14.0t")
    path = fake(home / "uv/python/cpython-3.14.0/bin", "python3.14", "3.14.0")
    free = fake(home / "uv/python/cpython-3.14.0+freethreaded/bin", "python3.14t", "3.14.0t")
    assert interpreters.find("3.14") == path
    assert interpreters.find("3.14t") == free


def test_a_program_that_fails_is_not_used(home: Path) -> None:
    """Of pyenv, the path has a program for each version, which may not be active."""
    fake(home / "bin", "python3.13", "3.13.5").write_text("#!/bin/sh\nexit 127\n")
    path = fake(home / ".pyenv/versions/3.13.5/bin", "python3.13", "3.13.5")
    assert interpreters.find("3.13") == path


def test_a_missing_version_has_a_message_with_the_others(home: Path) -> None:
    """It lists what the lab supports, and how to install the version."""
    fake(home / "bin", "python3.13t", "3.13.5t")
    fake(home / ".pyenv/versions/3.9.1/bin", "python3.9", "3.9.1")
    fake(home / ".pyenv/versions/3.12.1/bin", "python3.12", "3.12.1")
    message = (
        "--python 3.14t: this machine has no such interpreter. It has 3.12, 3.13t. "
        "Run: uv python install 3.14t"
    )
    with pytest.raises(UsageError, match=message):
        interpreters.find("3.14t")
    fake(home / "bin", "python3.14t", "").write_text("#!/bin/sh\necho too old >&2\nexit 3\n")
    with pytest.raises(UsageError, match="interpreter .python3.14t ended with code 3: too old"):
        interpreters.find("3.14t")
    with pytest.raises(UsageError, match="--python 3.9: the lab needs Python 3.11 or newer"):
        interpreters.find("3.9")


def test_the_lab_has_an_interpreter() -> None:
    """It is that of the lab's processes; its base is outside the virtual environment."""
    executable = interpreters.find("")
    assert executable == Path(sys.executable)
    base, build = interpreters.identity(executable)
    assert base == Path(sys.executable).resolve()
    assert build.startswith(sys.version.partition(" ")[0])


def test_another_program_is_no_interpreter(home: Path) -> None:
    """Its output is in the message."""
    other = fake(home / "bin", "python", "3")
    other.write_text("#!/bin/sh\necho hello\n")
    with pytest.raises(LabError, match=r"is not an interpreter of Python: it printed 'hello\\n'"):
        interpreters.identity(other)
