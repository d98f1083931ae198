"""Reads checkouts for ``--with 'celery @ file:CHECKOUT'``, and identifies them by their content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lab.core.errors import UsageError
from lab.environments import uv
from lab.host.repository import git_or_none

FILE = "file:"
# The end of the name of a wheel for every machine.
PURE = "-none-any.whl"
PROJECTS = ("pyproject.toml", "setup.py")
# Written by builds and interpreters, in a folder that is no repository.
NO_SOURCE = {".git", "__pycache__", "build", "dist", ".venv"}

# The folder of each digest that this process was given; no file contains a path.
_folders: dict[str, Path] = {}


def digest(name: str, address: str) -> str:
    """Return 12 hex digits of the content of a checkout, and remember its folder.

    Args:
        name: The name of its package.
        address: ``file:`` and its folder.

    Raises:
        UsageError: It is not a folder with a Python project.
    """
    folder = Path(address.removeprefix(FILE).removeprefix("//")).expanduser().absolute()
    if not address.startswith(FILE):
        raise UsageError(f"--with '{name} @ {address}': write '{name} @ file:CHECKOUT', a folder.")
    if not any((folder / project).is_file() for project in PROJECTS):
        raise UsageError(
            f"--with '{name} @ {address}': the folder has no {' or '.join(PROJECTS)}. Name the "
            f"folder of a checkout of {name}."
        )
    content = hashlib.sha256()
    for file in sorted(_files(folder)):
        content.update(f"{file.relative_to(folder).as_posix()}\n".encode())
        content.update(hashlib.sha256(file.read_bytes()).digest())
    # Some projects compute their version from the commit.
    content.update((git_or_none(folder, "rev-parse", "HEAD") or "").encode())
    _folders[text := content.hexdigest()[:12]] = folder
    return text


def folder_of(known: str, about: str) -> Path:
    """Return the folder of a digest; `about` is the environment that needs it, for messages.

    Raises:
        UsageError: This process was given no checkout with that content.
    """
    if known not in _folders:
        raise UsageError(
            f"Environment {about} is not in the cache, and its checkout is unknown. Start a new "
            "run that names the folder: --with 'PACKAGE @ file:CHECKOUT'"
        )
    return _folders[known]


def build_wheel(source: Path, folder: Path, about: str) -> Path:
    """Build the wheel of a checkout into an empty folder; `about` is the environment's name.

    Raises:
        UsageError: It cannot be built, or is for this machine only.
        LabError: uv failed.
    """
    uv.run("build", "--quiet", "--wheel", "--out-dir", str(folder), str(source), about=about)
    (wheel,) = folder.glob("*.whl")
    if not wheel.name.endswith(PURE):
        raise UsageError(
            f"Environment {about} cannot be in an image: the checkout has compiled modules. Add "
            "--provider local."
        )
    return wheel


def _files(folder: Path) -> list[Path]:
    """Return the source files of a checkout: those that git tracks or would add, or all.

    All if git knows none, as in an ignored folder of another repository.
    """
    listed = git_or_none(folder, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    if listed:
        names = [folder / name for name in listed.split("\0") if name]
    else:
        names = [
            path
            for path in folder.rglob("*")
            if not NO_SOURCE.intersection(path.relative_to(folder).parts)
            and not any(part.endswith(".egg-info") for part in path.parts)
        ]
    return [path for path in names if path.is_file()]
