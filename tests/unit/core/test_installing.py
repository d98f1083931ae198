"""Tests the command that installs an extra."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.core.installing import ROOT, install_command


def test_the_checkout_is_named_unless_it_is_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a project of the user, `.` is another package."""
    assert (ROOT / "pyproject.toml").is_file()
    monkeypatch.chdir(ROOT)
    assert install_command("rq") == "python -m pip install -e '.[rq]'"
    monkeypatch.chdir(tmp_path)
    assert install_command("rq") == f"python -m pip install -e '{ROOT}[rq]'"
