"""Installs an environment into a folder: an interpreter, and packages whose hashes are checked."""

from __future__ import annotations

from pathlib import Path

from packaging.requirements import Requirement

from lab.environments import checkouts, uv
from lab.environments.recipe import Recipe
from lab.environments.requirements import URL

WANTED, PINS = "requirements.in", "requirements.txt"
# Their releases have no wheel.
SOURCES = ("django-crontab",)


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
    wanted, pinned = folder / WANTED, folder / PINS
    sources = {
        Requirement(text).name: checkouts.folder_of(Requirement(text).url or "", about)
        for text in recipe.requirements
        if URL in text
    }
    wanted.write_text("".join(_line(text, sources) for text in recipe.requirements), "utf-8")
    # uv prefers the versions of an existing output file.
    pinned.write_text(recipe.pins, encoding="utf-8")
    built = [f"--no-binary={name}" for name in (*SOURCES, *sources)]
    wheels = ("--only-binary=:all:", *built)
    plain = ("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links")
    resolve = ("pip", "compile", "--quiet", "--generate-hashes", *plain, *wheels)
    uv.run(*resolve, *python, str(wanted), "-o", str(pinned), about=about)
    # A folder has no hash, which the option below requires of each requirement.
    lines = pinned.read_text(encoding="utf-8").splitlines(keepends=True)
    pinned.write_text("".join(line for line in lines if URL not in line), encoding="utf-8")
    # Compiled now: the first trial would otherwise write the modules, and start later.
    add = ("pip", "install", "--quiet", "--compile-bytecode", "--no-deps", *wheels)
    if "==" in pinned.read_text(encoding="utf-8"):
        uv.run(*add, *python, "--require-hashes", "-r", str(pinned), about=about)
    for name, source in sources.items():
        # uv would use an earlier build of the folder.
        uv.run(*add, *python, f"--reinstall-package={name}", str(source), about=about)


def _line(text: str, sources: dict[str, Path]) -> str:
    if URL not in text:
        return f"{text}\n"
    return f"{text.partition(URL)[0]}{URL}{sources[Requirement(text).name].as_uri()}\n"
