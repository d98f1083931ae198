"""`.ci/ensure-docker.sh` works in a folder of its user's and writes through nobody's link."""

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
    """A folder below which only this user writes, with programs that do nothing beside it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("docker", "dockerd", "mmdebstrap", "apt-get"):
        (programs / name).write_text("#!/bin/sh\necho 1\n")
        (programs / name).chmod(0o755)
    return tmp_path


def ensure(place: Path, state: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with a state folder; the engine that it sees is made up."""
    environment = {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "HOME": str(place),
        "LAB_DOCKER_STATE": str(state),
    }
    return subprocess.run(
        ["bash", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False
    )


def test_its_folder_is_for_its_user_alone(place: Path) -> None:
    """Made with mode 0700, and used again."""
    state = place / "made" / "state"
    for _ in range(2):
        done = ensure(place, state)
        assert done.returncode == 0, done.stderr
        assert state.stat().st_mode & 0o777 == 0o700


def link(state: Path, victim: Path) -> None:
    """Put a link to a folder in the place of the folder."""
    state.symlink_to(victim.parent)


def link_of_log(state: Path, victim: Path) -> None:
    """Put links to a file in the place of the logs."""
    state.mkdir()
    for name in ("lock", "apt.log", "dockerd.log"):
        (state / name).symlink_to(victim)


def of_others(state: Path, _victim: Path) -> None:
    """Have somebody else own the folder."""
    state.mkdir()
    os.chown(state, OTHER, OTHER)


def below_others(state: Path, _victim: Path) -> None:
    """Have everybody write in the folder."""
    state.mkdir()
    state.chmod(0o777)


def fifo(state: Path, _victim: Path) -> None:
    """Put a pipe in the place of the lock: to open it would wait for ever."""
    state.mkdir()
    os.mkfifo(state / "lock")


def a_file(state: Path, _victim: Path) -> None:
    """Put a file in the place of the folder."""
    state.write_text("")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (link, "is a symbolic link"),
        (link_of_log, "is not a regular file"),
        (of_others, f"belongs to user {OTHER}"),
        (below_others, "other users can write to"),
        (fifo, "is not a regular file"),
        (a_file, "is not a folder"),
    ],
)
def test_a_folder_that_others_prepared_is_refused(
    place: Path, spoil: Callable[[Path, Path], None], words: str
) -> None:
    """One sentence, and not a byte through a link."""
    (place / "victims").mkdir()
    victim = place / "victims" / "file"
    victim.write_text("precious")
    state = place / "state"
    spoil(state, victim)
    done = ensure(place, state)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.startswith("ensure-docker: ")
    assert len(done.stderr.splitlines()) == 1
    assert victim.read_text() == "precious"
    assert [file.name for file in (place / "victims").iterdir()] == ["file"]


def test_a_folder_below_one_of_others_is_refused(place: Path) -> None:
    """Who owns a folder above can put another in its place."""
    above = place / "above"
    (above / "state").mkdir(parents=True)
    os.chown(above, OTHER, OTHER)
    done = ensure(place, above / "state")
    assert done.returncode == 1
    assert f"{above} belongs to user {OTHER}" in done.stderr


def test_no_script_of_ci_uses_a_fixed_name_in_a_shared_folder() -> None:
    """Names below /tmp and /var/tmp can be taken by anybody before."""
    for file in SCRIPT.parent.iterdir():
        if file.is_file():
            assert "/tmp" not in file.read_text(encoding="utf-8"), file.name  # noqa: S108
