"""Tests that `.ci/ensure-pythons.sh` changes no Python on the path, and has a private folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "ensure-pythons.sh"
VERSIONS = ("3.13t", "3.14")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with `bin`, which has both versions, and an apt-get that fails."""
    (tmp_path / "bin").mkdir()
    for name in (*(f"python{version}" for version in VERSIONS), "apt-get"):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\necho "{name} -- $0"\n[ {name} != apt-get ]\n')
        program.chmod(0o755)
    return tmp_path


def ensure(place: Path, *versions: str) -> subprocess.CompletedProcess[str]:
    """Run the script with `place` as its folders."""
    environment = {
        "PATH": f"{place / 'bin'}:/usr/bin:/bin",
        "HOME": str(place),
        "LAB_PYTHONS_STATE": str(place / "state"),
        "LAB_PYTHONS_BIN": str(place / "programs"),
    }
    command = ["bash", str(SCRIPT), *versions]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_python_on_the_path_is_not_changed(place: Path) -> None:
    """The script names each version with its path, downloads nothing and creates no link."""
    for _ in range(2):
        done = ensure(place)
        assert done.returncode == 0, done.stderr
        names = [line.split(" is ")[0] for line in done.stderr.splitlines()]
        assert names == [f"ensure-pythons: {place}/bin/python{version}" for version in VERSIONS]
    assert not (place / "programs").exists()
    assert [file.name for file in (place / "state").iterdir()] == ["lock"]
    # As root, for all users, who may run the programs in it.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    assert (place / "state").stat().st_mode & 0o777 == mode


def test_a_version_that_the_script_cannot_provide_has_a_message(place: Path) -> None:
    """It names the versions that it can provide."""
    done = ensure(place, "3.9")
    assert done.returncode == 1
    assert done.stderr == "ensure-pythons: Python 3.9 is unknown; use 3.13, 3.13t or 3.14\n"


def test_a_python_that_does_not_start_is_replaced(place: Path) -> None:
    """Here apt fails, and the last lines of its log are in the message."""
    (place / "bin" / "python3.14").write_text("#!/bin/sh\nexit 1\n")
    done = ensure(place, "3.14")
    assert done.returncode == 1
    assert done.stderr.startswith("ensure-pythons: apt")
    assert not (place / "programs").exists()


def test_a_state_folder_that_is_a_link_is_refused(place: Path) -> None:
    """Another user could have created the link."""
    (place / "elsewhere").mkdir()
    (place / "state").symlink_to(place / "elsewhere")
    done = ensure(place)
    assert done.returncode == 1
    assert f"{place}/state is a symbolic link" in done.stderr
    assert list((place / "elsewhere").iterdir()) == []
