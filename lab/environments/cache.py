"""Keeps environments in the user's cache folder, each under a hash of everything it is made from.

A folder exists only once its environment is complete: it is created under another name and renamed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from lab.core import files
from lab.environments.installation import install, python_of
from lab.environments.recipe import Recipe
from lab.host import child_environment

RECIPE = "environment.json"
UNFINISHED = ".unfinished-"


def root() -> Path:
    """Return the folder of all environments."""
    return platformdirs.user_cache_path(child_environment.APPLICATION) / "environments"


def folder_of(recipe: Recipe) -> Path:
    """Return the folder of an environment, which may not exist."""
    return root() / recipe.key


def is_complete(folder: Path) -> bool:
    """Return whether a folder has an environment whose creation ended and that can start."""
    # `exists` follows the link: the interpreter may have been removed from the machine.
    return (folder / RECIPE).is_file() and python_of(folder).exists()


def create(recipe: Recipe, about: str) -> Path:
    """Create an environment unless it exists, and return its folder; `about` is its name.

    Of several labs that need the same one, one creates it and the others wait.

    Raises:
        UsageError: Its requirements cannot be fulfilled.
        LabError: uv failed, or the disk is full.
    """
    folder = folder_of(recipe)
    if is_complete(folder):
        return folder
    with files.sentences(folder, files.REPEAT):
        root().mkdir(parents=True, exist_ok=True)
        with _locked(recipe.key):
            if not is_complete(folder):
                _remove_unfinished(recipe.key)
                new = Path(tempfile.mkdtemp(prefix=f"{recipe.key}{UNFINISHED}", dir=root()))
                try:
                    install(new, recipe, about)
                    text = json.dumps(asdict(recipe), indent=1)
                    (new / RECIPE).write_text(text, encoding="utf-8")
                    shutil.rmtree(folder, ignore_errors=True)  # its interpreter is gone
                    new.rename(folder)
                except BaseException:
                    shutil.rmtree(new, ignore_errors=True)
                    raise
    return folder


@contextlib.contextmanager
def _locked(key: str) -> Iterator[None]:
    """Hold the lock of an environment; it ends with the process that holds it."""
    with (root() / f"{key}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_unfinished(key: str) -> None:
    """Remove the folders of killed creations; the caller holds the lock."""
    for path in root().glob(f"{key}{UNFINISHED}*"):
        shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class CachedEnvironment:
    """A complete environment: its folder, what it is made from, its size, and its creation."""

    folder: Path
    recipe: Recipe
    n_bytes: int
    created_s: float


def environments() -> list[CachedEnvironment]:
    """Return the complete environments, the newest first."""
    complete = []
    for file in root().glob(f"*/{RECIPE}"):
        fields = json.loads(file.read_text(encoding="utf-8"))
        recipe = Recipe(**{**fields, "requirements": tuple(fields["requirements"])})
        folder = file.parent
        if UNFINISHED not in folder.name:
            complete.append(CachedEnvironment(folder, recipe, _size(folder), file.stat().st_mtime))
    return sorted(complete, key=lambda each: -each.created_s)


def prune() -> list[int]:
    """Remove all environments, and return the size of each in bytes.

    It waits for labs that create one. A running campaign needs its environments until its end.
    """
    sizes = []
    for folder in [path for path in root().glob("*") if path.is_dir()]:
        key = folder.name.partition(UNFINISHED)[0]
        with _locked(key):
            if UNFINISHED not in folder.name and folder.exists():
                sizes.append(_size(folder))
                # Renamed first: a folder with the name of an environment is always complete.
                folder.rename(folder.with_name(f"{key}{UNFINISHED}removed"))
            _remove_unfinished(key)
    return sizes


def _size(folder: Path) -> int:
    """Return the bytes of the files of a folder; uv shares many of them with its own cache."""
    return sum(path.lstat().st_size for path in folder.rglob("*"))
