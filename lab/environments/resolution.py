"""Resolves the requirements of an environment to versions with hashes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement

from lab.environments import checkouts, uv
from lab.environments.recipe import Recipe
from lab.environments.requirements import URL

WANTED, PINS = "requirements.in", "requirements.txt"
# A requirement, with its hashes in indented lines.
ENTRY = re.compile(r"^\S.*\n(?:[ \t].*\n)*", re.MULTILINE)
# Their releases have no wheel.
SOURCES = ("django-crontab",)


def checkouts_of(recipe: Recipe, about: str) -> dict[str, Path]:
    """Return the folder of each checkout of a recipe, by the name of its package.

    Raises:
        UsageError: This process was given no checkout with that content.
    """
    requirements = [Requirement(text) for text in recipe.requirements if URL in text]
    return {each.name: checkouts.folder_of(each.url or "", about) for each in requirements}


def wheels(*names: str) -> tuple[str, ...]:
    """Return the options with which only wheels are installed, apart from the packages `names`."""
    return ("--only-binary=:all:", *(f"--no-binary={name}" for name in (*SOURCES, *names)))


def resolve(folder: Path, recipe: Recipe, target: Sequence[str], about: str) -> str:
    """Return a requirements file with the version and the hashes of each package.

    Checkouts are not in it: a folder has no hash.

    Args:
        folder: It gets the files that uv reads and writes.
        recipe: What the environment is made from.
        target: Options of uv that name the interpreter.
        about: The environment's name, for messages.

    Raises:
        UsageError: The requirements cannot be fulfilled.
        LabError: uv failed.
    """
    sources = checkouts_of(recipe, about)
    wanted, pinned = folder / WANTED, folder / PINS
    wanted.write_text("".join(_line(text, sources) for text in recipe.requirements), "utf-8")
    # uv prefers the versions of an existing output file.
    pinned.write_text(recipe.pins, encoding="utf-8")
    plain = ("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links")
    command = ("pip", "compile", "--quiet", "--generate-hashes", *plain, *wheels(*sources))
    uv.run(*command, *target, str(wanted), "-o", str(pinned), about=about)
    # uv gives a checkout the hashes of the release that the lock pins, if it has the same version.
    entries = ENTRY.findall(pinned.read_text(encoding="utf-8"))
    text = "".join(entry for entry in entries if URL not in entry)
    pinned.write_text(text, encoding="utf-8")
    return text


def _line(text: str, sources: dict[str, Path]) -> str:
    if URL not in text:
        return f"{text}\n"
    return f"{text.partition(URL)[0]}{URL}{sources[Requirement(text).name].as_uri()}\n"
