"""Installs an environment into a folder: an interpreter, and packages whose hashes are checked."""

from __future__ import annotations

from pathlib import Path

from lab.environments import resolution, uv
from lab.environments.recipe import Recipe


def python_of(folder: Path) -> Path:
    """Return the interpreter of an environment."""
    return folder / "bin" / "python"


def install(folder: Path, recipe: Recipe, about: str) -> None:
    """Create an interpreter with the packages of a recipe; `about` is the environment's name.

    Raises:
        UsageError: The requirements cannot be fulfilled.
        LabError: uv failed.
    """
    # Relocatable, because the folder is renamed.
    venv = ("venv", "--relocatable", "--no-project", "--allow-existing", "--python", recipe.base)
    uv.run(*venv, str(folder), about=about)
    if not recipe.requirements:
        return
    python = ("--python", str(python_of(folder)))
    pinned = resolution.resolve(folder, recipe, python, about)
    sources = resolution.checkouts_of(recipe, about)
    # Compiled now: the first trial would otherwise write the modules, and start later.
    built = resolution.wheels(*sources)
    add = ("pip", "install", "--quiet", "--compile-bytecode", "--no-deps", *built)
    if "==" in pinned:
        file = str(folder / resolution.PINS)
        uv.run(*add, *python, "--require-hashes", "-r", file, about=about)
    for name, source in sources.items():
        # uv would use an earlier build of the folder.
        uv.run(*add, *python, f"--reinstall-package={name}", str(source), about=about)
