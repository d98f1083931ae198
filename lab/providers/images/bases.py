"""Chooses the base image of a version of Python, and provides it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lab.core.errors import UsageError
from lab.environments.interpreters import IDENTITY
from lab.providers import container_process, images
from lab.providers.images import debian, official, recipe

# The release of Debian with each Python, for machines without a registry.
RELEASES = {"3.11": "bookworm", "3.13": "trixie", "3.14": "forky"}
INSTEAD = "Or add --provider local."


class Base(NamedTuple):
    """A base image; `release` is that of Debian from which it is built here, empty without one."""

    image: str
    release: str = ""


def base_of(python: str) -> Base:
    """Return the base image of a version; empty: that of the node image.

    It has exactly the version that a registry or Debian has: `made` checks it.

    Raises:
        UsageError: No image has the version.
    """
    named_base = images.base_and_servers()["base"]
    if not python:
        return Base(named_base or recipe.base_image())
    if python.endswith("t"):
        raise UsageError(
            f"--python {python}: no base image has a free-threaded Python. Add --provider local."
        )
    if named_base:
        return Base(f"python:{python}-slim")
    release = RELEASES.get(".".join(python.split(".")[:2]))
    if release is None:
        raise UsageError(
            f"--python {python}: no registry answers, and no release of Debian has it. Choose "
            f"{', '.join(RELEASES)}. {INSTEAD}"
        )
    return Base(recipe.base_image(release), release)


def built_here() -> set[str]:
    """Return the names of the bases that this machine builds for versions of Python."""
    return {recipe.base_image(release) for release in RELEASES.values()}


def make(base: Base, python: str, progress: Callable[[str], None]) -> str:
    """Pull or build a base image unless it is there, and return its version of Python.

    Raises:
        UsageError: It has another version than `python`.
        ClusterError: It can neither be pulled nor built.
    """
    if not official.is_here(base.image):
        if base.image.startswith(recipe.PREFIX):
            debian.make_base(base.image, progress, base.release)
        else:
            progress(f"Pulling {base.image}.")
            official.pull_image(base.image)
    version = _version(base.image)
    if python and not f"{version}.".startswith(f"{python}."):
        raise UsageError(
            f"--python {python}: the base image has Python {version}. Choose "
            f"--python {'.'.join(version.split('.')[:2])}. {INSTEAD}"
        )
    return version


def _version(image: str) -> str:
    output = container_process.run_in_new(image, "python3", "-I", "-c", IDENTITY)
    return output.splitlines()[1]
