"""Finds and removes the images that were built for other versions of this checkout's files.

Each change of a file in `lab/` gives the next build another tag; layers that did not change are
shared, so that such an image takes a few MB.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection

import psutil

from lab.core.errors import ClusterError
from lab.providers import images, reaper, watchdog
from lab.providers.engine import engine
from lab.providers.images import bases, environment_images, official
from lab.providers.images.debian import LABEL
from lab.providers.images.recipe import is_built_locally


def superseded() -> list[str]:
    """Return the names of the images that were built here and that this checkout does not use.

    Raises:
        ClusterError: No engine answers.
    """
    with engine() as client:
        listed = client.api.images(filters={"label": LABEL})
    built = [name for image in listed for name in image["RepoTags"] or () if is_built_locally(name)]
    if not built:  # the files need not be read
        return []
    needed = {*images.current_names(), *bases.built_here()}
    current = environment_images.prefix()
    return [name for name in built if name not in needed and not name.startswith(current)]


def of_environments() -> list[str]:
    """Return the names of the images of environments, and of the bases that only they need.

    Raises:
        ClusterError: No engine answers.
    """
    of_releases = bases.built_here() - images.current_names()
    return [
        *(each.name for each in environment_images.built()),
        *filter(official.is_here, of_releases),
    ]


def remove(names: Collection[str], command: str) -> int:
    """Remove images that were built here, and return their number; `command` asked for it.

    Raises:
        ClusterError: Another lab runs, whose next trial may need one of them; or no engine answers.
    """
    if names and _runs_a_lab():
        raise ClusterError(
            "Another lab runs, and its next trial may need an image. When it has ended, "
            f"run: {command}"
        )
    removed = 0
    for name in names:
        # A container that is not the lab's may use it: then the engine refuses.
        with contextlib.suppress(ClusterError), engine() as client:
            client.api.remove_image(name)
            removed += 1
    return removed


def _runs_a_lab() -> bool:
    """Return whether a lab runs: one of this machine, or another one that uses the engine."""
    watchdogs = (p.info["cmdline"] or () for p in psutil.process_iter(["cmdline"]))
    objects = reaper.remains()
    is_dead = reaper.is_dead(objects)
    return any(watchdog.__name__ in words for words in watchdogs) or not all(map(is_dead, objects))
