"""Tests that only complete environments are used, and that each is created once."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lab.core.errors import LabError
from lab.environments import cache, uv
from lab.environments.installation import python_of
from lab.environments.recipe import Recipe

RECIPE = Recipe(sys.executable, "a build", (), "")


@pytest.fixture(autouse=True)
def created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace uv by a function that makes an interpreter slowly; return the created folders."""
    folders: list[str] = []

    def run(*arguments: str, about: str) -> str:
        folder = Path(arguments[-1])
        folders.append(folder.name)
        (folder / "bin").mkdir()
        time.sleep(0.05)
        python_of(folder).symlink_to(sys.executable)
        return about

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(uv, "run", run)
    return folders


def test_an_environment_is_created_once(created: list[str]) -> None:
    """Labs that need it at the same time wait for one of them; other content is another one."""
    threads = [threading.Thread(target=cache.create, args=(RECIPE, "3.11")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(created) == 1
    assert cache.is_complete(cache.create(RECIPE, "3.11"))
    others = [replace(RECIPE, build="b"), replace(RECIPE, pins="x==1"), replace(RECIPE, base="c")]
    assert len({cache.create(each, "3.11") for each in (RECIPE, *others)}) == 4


def test_a_half_made_environment_is_not_used(
    created: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed creation leaves a folder of another name; the next one removes and replaces it."""
    folder = cache.folder_of(RECIPE)
    half = folder.with_name(f"{folder.name}{cache.UNFINISHED}killed")
    (half / "bin").mkdir(parents=True)
    assert not cache.is_complete(folder)
    assert cache.create(RECIPE, "3.11") == folder
    assert not half.exists()

    def fail(*_: str, **__: str) -> str:
        raise LabError("no network")

    monkeypatch.setattr(uv, "run", fail)
    other = replace(RECIPE, build="another")
    with pytest.raises(LabError, match="no network"):
        cache.create(other, "3.12")
    assert not list(cache.root().glob(f"{other.key}*[!k]"))
    assert len(created) == 1


def test_an_environment_without_its_interpreter_is_created_again(created: list[str]) -> None:
    """The interpreter may be removed from the machine after an environment was created."""
    folder = cache.create(RECIPE, "3.11")
    python_of(folder).unlink()
    assert not cache.is_complete(folder)
    cache.create(RECIPE, "3.11")
    assert cache.is_complete(folder)
    shutil.rmtree(folder / "bin")
    assert not cache.is_complete(folder)
    assert len(created) == 2
