"""Tests `lab env`: which environments it lists, and that it removes them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.environments import cache
from lab.environments.installation import python_of
from lab.environments.recipe import Recipe


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a complete and an unfinished environment, and return the folder of the first."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # Else the images of this machine's engine would be listed and removed.
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent")
    recipe = Recipe(sys.executable, "3.11.2 (main)", ("celery==5.5.3",), "")
    folder = cache.folder_of(recipe)
    python_of(folder).parent.mkdir(parents=True)
    python_of(folder).symlink_to(sys.executable)
    (folder / cache.RECIPE).write_text(json.dumps(asdict(recipe)))
    folder.with_name(f"{recipe.key}{cache.UNFINISHED}1").mkdir()
    return folder


def test_list_shows_complete_environments(cached: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what each is made from."""
    assert main(["env"]) == 0
    printed = capsys.readouterr().out
    assert cached.name in printed
    assert "celery==5.5.3" in printed
    assert [each.folder for each in cache.environments()] == [cached]


def test_prune_removes_all(cached: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also those whose creation was killed."""
    assert main(["env", "prune"]) == 0
    assert "Removed 1 environment" in capsys.readouterr().err
    assert [path for path in cached.parent.iterdir() if path.is_dir()] == []
    assert main(["env", "prune"]) == 0


def test_an_unknown_action_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The message suggests a similar one."""
    assert main(["env", "prun"]) == 2
    assert "Did you mean 'prune'?" in capsys.readouterr().err
