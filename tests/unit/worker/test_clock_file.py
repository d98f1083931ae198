"""Tests that the file of a faked clock exists before a process reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.worker import clock_file


def test_a_step_replaces_the_file(tmp_path: Path) -> None:
    """Its sign shows libfaketime that it is an offset, not an instant."""
    file = tmp_path / "clock"
    for step_s, text in ((3600.0, "+3600.000000\n"), (-0.5, "-0.500000\n")):
        clock_file.set_step(file, step_s)
        assert file.read_text(encoding="ascii") == text
    assert [*tmp_path.iterdir()] == [file]


def test_a_process_requires_the_file_of_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written with a true clock, and a step that it has remains."""
    clock_file.require_of_process()
    file = tmp_path / "clock"
    monkeypatch.setenv(clock_file.FAKED, str(file))
    clock_file.require_of_process()
    assert file.read_text(encoding="ascii") == "+0.000000\n"
    clock_file.set_step(file, 60.0)
    clock_file.require_of_process()
    assert file.read_text(encoding="ascii") == "+60.000000\n"
