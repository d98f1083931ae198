"""Finds and removes the images that were built for other versions of this checkout's files.

Each change of a file in `lab/` gives the next build another tag; layers that did not change are
shared, so that such an image takes a few MB.
"""

from __future__ import annotations

import contextlib

import psutil

from lab.core.errors import ClusterError
from lab.providers import images, reaper, watchdog
from lab.providers.engine import engine
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
    # Without any, the files need not be read.
    needed = images.current_names() if built else ()
    return [name for name in built if name not in needed]


def remove() -> int:
    """Remove the superseded images, and return their number.

    Raises:
        ClusterError: Another lab runs, whose next trial may need one of them; or no engine answers.
    """
    names = superseded()
    if names and _runs_a_lab():
        raise ClusterError(
            "Another lab runs, and its next trial may need an image. When it has ended, "
            "run: lab clean --images"
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
