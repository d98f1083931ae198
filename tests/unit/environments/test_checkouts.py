"""Tests that a checkout is identified by its content."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.core.errors import UsageError
from lab.environments import checkouts
from lab.environments.requirements import checked


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a project."""
    folder = tmp_path / "with space"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[project]\nname = 'made-up'\n")
    (folder / "made_up.py").write_text("A = 1\n")
    return folder


def test_the_content_decides(project: Path) -> None:
    """A change is another digest, and compiled modules are none."""
    first = checkouts.digest("made-up", f"file:{project}")
    (project / "__pycache__").mkdir()
    (project / "__pycache__/made_up.pyc").write_bytes(b"1")
    assert checkouts.digest("made-up", f"file://{project}") == first
    (project / "made_up.py").write_text("A = 2\n")
    second = checkouts.digest("made-up", f"file:{project}")
    assert second != first
    assert checkouts.folder_of(second, "x") == project


def test_in_a_repository_what_git_ignores_does_not_count(project: Path) -> None:
    """Changes that are not committed count."""
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    (project / ".gitignore").write_text("*.log\n")
    first = checkouts.digest("made-up", f"file:{project}")
    (project / "a.log").write_text("1")
    assert checkouts.digest("made-up", f"file:{project}") == first
    (project / "new.py").write_text("B = 1\n")
    assert checkouts.digest("made-up", f"file:{project}") != first


def test_a_requirement_names_the_content_and_not_the_folder(project: Path) -> None:
    """The text is in published tables, which contain no path."""
    text = checked(f"made-up @ file:{project}")
    assert text == f"made-up @ {checkouts.digest('made-up', f'file:{project}')}"


@pytest.mark.parametrize("address", ["file:/no/such/folder", "https://example.org/x.zip"])
def test_what_is_no_checkout_is_refused(address: str) -> None:
    """The sentence shows what to write."""
    with pytest.raises(UsageError, match=r"--with 'celery @ .*folder"):
        checked(f"celery @ {address}")


def test_a_checkout_of_another_process_is_unknown() -> None:
    """A resumed run finds its environment in the cache, or names the next step."""
    with pytest.raises(UsageError, match="Start a new run that names the folder"):
        checkouts.folder_of("0123456789ab", "celery @ 0123456789ab")
