"""Tests that `.ci/ensure-docker.sh` works in a private folder and follows no link."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "ensure-docker.sh"
OTHER = 12_345


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that only this user can write to, and a folder of programs that do nothing."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("docker", "dockerd", "mmdebstrap", "ip", "apt-get"):
        (programs / name).write_text("#!/bin/sh\necho 1\n")
        (programs / name).chmod(0o755)
    return tmp_path


def ensure(place: Path, state: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with a state folder and a fake engine."""
    environment = {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "HOME": str(place),
        "LAB_DOCKER_STATE": str(state),
    }
    return subprocess.run(
        ["bash", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False
    )


def test_state_folder_is_private(place: Path) -> None:
    """The script creates it with mode 0700, and reuses it."""
    state = place / "parent" / "state"
    for _ in range(2):
        done = ensure(place, state)
        assert done.returncode == 0, done.stderr
        assert state.stat().st_mode & 0o777 == 0o700


def link(state: Path, victim: Path) -> None:
    """Replace the folder by a link to another folder."""
    state.symlink_to(victim.parent)


def link_of_log(state: Path, victim: Path) -> None:
    """Replace the logs by links to a file."""
    state.mkdir()
    for name in ("lock", "apt.log", "dockerd.log"):
        (state / name).symlink_to(victim)


def of_others(state: Path, _victim: Path) -> None:
    """Give the folder to another user."""
    state.mkdir()
    os.chown(state, OTHER, OTHER)


def below_others(state: Path, _victim: Path) -> None:
    """Let all users write to the folder."""
    state.mkdir()
    state.chmod(0o777)


def fifo(state: Path, _victim: Path) -> None:
    """Replace the lock by a named pipe, which would block when opened."""
    state.mkdir()
    os.mkfifo(state / "lock")


def a_file(state: Path, _victim: Path) -> None:
    """Replace the folder by a file."""
    state.write_text("")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (link, "is a symbolic link"),
        (link_of_log, "is not a regular file"),
        (of_others, f"belongs to user {OTHER}"),
        (below_others, "other users can write to"),
        (fifo, "is not a regular file"),
        (a_file, "is not a folder"),
    ],
)
def test_state_folder_of_others_is_refused(
    place: Path, spoil: Callable[[Path, Path], None], message: str
) -> None:
    """The script prints one line, exits with 1, and writes nothing through a link."""
    (place / "victims").mkdir()
    victim = place / "victims" / "file"
    victim.write_text("precious")
    state = place / "state"
    spoil(state, victim)
    done = ensure(place, state)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.startswith("ensure-docker: ")
    assert len(done.stderr.splitlines()) == 1
    assert victim.read_text() == "precious"
    assert [file.name for file in (place / "victims").iterdir()] == ["file"]


def test_state_folder_below_a_folder_of_others_is_refused(place: Path) -> None:
    """The owner of a parent folder can replace the state folder."""
    above = place / "above"
    (above / "state").mkdir(parents=True)
    os.chown(above, OTHER, OTHER)
    done = ensure(place, above / "state")
    assert done.returncode == 1
    assert f"{above} belongs to user {OTHER}" in done.stderr


def test_ci_scripts_use_no_fixed_name_in_a_shared_folder() -> None:
    """Any user can create a name below /tmp and /var/tmp in advance."""
    for file in SCRIPT.parent.iterdir():
        if file.is_file():
            assert "/tmp" not in file.read_text(encoding="utf-8"), file.name  # noqa: S108
