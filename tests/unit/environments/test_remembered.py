"""Tests that an interpreter is started once, and again if what it depends on has changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.environments import facts, installation, interpreters, preparation, remembered
from lab.host import programs
from lab.providers import PROVIDERS
from tests.factories.trials import spec_of


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Keep a value that depends on a program, in a folder that does not exist yet."""
    program, file = tmp_path / "program", tmp_path / "folder/kept.json"
    program.write_text("1")
    remembered.keep(file, ["a", 1], [program])
    return file, program


def touched(program: Path) -> None:
    """Change the time of a file, as an installation does."""
    os.utime(program, ns=(1, 1))


def replaced(program: Path) -> None:
    """Put another file of the same size and time in the place of a program."""
    stat = program.stat()
    other = program.with_name("other")
    other.write_text("2")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(program)


def test_a_value_is_kept_while_the_program_is_the_same(files: tuple[Path, Path]) -> None:
    """No file but the value remains, and without a value there is none."""
    file, _ = files
    assert remembered.recall(file) == ["a", 1]
    assert [*file.parent.iterdir()] == [file]
    assert remembered.recall(file.with_name("another")) is None


@pytest.mark.parametrize("change", [touched, replaced, Path.unlink])
def test_a_changed_program_is_asked_again(
    change: Callable[[Path], None], files: tuple[Path, Path]
) -> None:
    """Its time, its file, or whether it exists."""
    file, program = files
    change(program)
    assert remembered.recall(file) is None


@pytest.mark.parametrize("content", ["", "[]", '{"value": 1}', '{"files": 1}', "\0"])
def test_a_damaged_value_is_none(content: str, files: tuple[Path, Path]) -> None:
    """The program runs again, and its output replaces the file."""
    file, program = files
    file.write_text(content)
    assert remembered.recall(file) is None
    remembered.keep(file, 2, [program])
    assert remembered.recall(file) == 2


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    """It may be on a file system that is full or read-only: the run goes on."""
    (tmp_path / "file").write_text("")
    remembered.keep(tmp_path / "file/kept.json", 1, [])
    assert remembered.recall(tmp_path / "file/kept.json") is None


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Record the programs that are started; the cache of the user is empty."""
    commands: list[str] = []
    run = programs.output_of

    def output_of(command: list[str], *values: object, **options: object) -> str:
        commands.append(command[0])
        return run(command, *values, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(programs, "output_of", output_of)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return commands


def test_an_interpreter_is_asked_once_for_its_identity(started: list[str]) -> None:
    """Also by other processes of the lab, which have no memory of each other."""
    answers = []
    for _ in range(2):
        interpreters._about.cache_clear()
        answers.append(interpreters.identity(Path(sys.executable)))
    assert started == [sys.executable]
    assert answers[0] == answers[1]


def test_a_script_is_asked_each_time(started: list[str], tmp_path: Path) -> None:
    """The stand-in of pyenv starts the version that is active."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    for _ in range(2):
        interpreters._about.cache_clear()
        interpreters.identity(script)
    assert started == [str(script)] * 2


def test_the_facts_of_an_environment_are_read_once(
    started: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read again if someone adds a package to its folder."""
    packages = tmp_path / "environment/lib/python3/site-packages"
    packages.mkdir(parents=True)
    python = installation.python_of(tmp_path / "environment")
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    chosen = preparation.Interpreter(sys.executable, tmp_path / "environment")
    monkeypatch.setattr(preparation, "of_trial", lambda *_: chosen)
    specs = [spec_of("inline", environment="3")]
    first = list(facts.of_trials(specs, PROVIDERS))
    assert list(facts.of_trials(specs, PROVIDERS)) == first
    assert started == [sys.executable]
    (packages / "added").mkdir()
    list(facts.of_trials(specs, PROVIDERS))
    assert started == [sys.executable] * 2
