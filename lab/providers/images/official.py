"""Names, pins and pulls the official images."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping

from lab.core.errors import ClusterError
from lab.providers.engine import engine
from lab.providers.engine_errors import explain
from lab.providers.images.recipe import FOLDER, SERVERS, is_built_locally, variable

COMPOSE_FILE = FOLDER / "compose.yaml"
# Lines `name:tag@sha256:...`; an image in this file is pulled by its digest.
LOCK = FOLDER / "images.lock"


def chosen() -> dict[str, str]:
    """Return the official image of the base and of each server.

    An image in the environment has priority. The servers' tags are in compose.yaml. The base has
    the Python version that runs the lab, so that providers are comparable.
    """
    return {part: named(part) or _pinned(tag) for part, tag in _tags().items()}


def _tags() -> dict[str, str]:
    # From compose.yaml, so that a tag is written in one place only.
    tags = dict(re.findall(r"\$\{(LAB_\w+_IMAGE):-([^}]+)\}", COMPOSE_FILE.read_text("utf-8")))
    base = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    return {"base": base} | {server: tags[variable(server)] for server in SERVERS}


def named(part: str) -> str:
    """Return the image that the environment sets for `part`, or an empty text."""
    return os.environ.get(variable(part), "")


def _pinned(tag: str) -> str:
    lines = LOCK.read_text(encoding="utf-8").split() if LOCK.exists() else []
    return next((line for line in lines if line.startswith(f"{tag}@")), tag)


def is_pinned(image: str) -> bool:
    """Return whether a name fixes the image's content, by a digest or by the hash in its tag."""
    return "@sha256:" in image or is_built_locally(image)


def is_here(image: str) -> bool:
    """Return whether the engine has an image of this name."""
    try:
        with engine() as client:
            client.images.get(image)
    except ClusterError:
        return False
    return True


def pull(sources: Mapping[str, str], progress: Callable[[str], None]) -> dict[str, str]:
    """Pull the missing images; return the parts that cannot be pulled, each with an empty name.

    After the first failure, only images that the environment sets are tried, because each attempt
    takes long if there is no registry.

    Raises:
        ClusterError: An image that the environment sets cannot be pulled.
    """
    missing: dict[str, str] = {}
    for part, image in sources.items():
        if not image or is_here(image):
            continue
        if missing and not named(part):
            missing[part] = ""
            continue
        progress(f"Pulling {image}.")
        try:
            pull_image(image)
        except ClusterError as error:
            # A user who names an image wants to measure that one, so no build replaces it.
            if named(part):
                raise ClusterError(
                    f"{variable(part)} is {image}, which cannot be pulled. "
                    "Set another image, then run: nox -s images"
                ) from error
            missing[part] = ""
            progress(
                f"{image} cannot be pulled (for the reason, run: docker pull {image}). Building "
                "the missing images from Debian packages instead."
            )
    return missing


def pull_image(image: str) -> None:
    """Pull an image.

    Raises:
        ClusterError: It cannot be pulled.
    """
    with engine() as client:
        for line in client.api.pull(image, stream=True, decode=True):
            if "error" in line:  # the answer begins before the pull fails
                raise ClusterError(explain(line["error"]))


def lock(progress: Callable[[str], None]) -> None:
    """Pull the present image of every official tag, and write the lock file that pins them.

    Raises:
        ClusterError: An image cannot be pulled; the lock file is unchanged.
    """
    lines = []
    for tag in _tags().values():
        progress(f"Pulling {tag}.")
        pull_image(tag)
        with engine() as client:
            digests = client.images.get(tag).attrs["RepoDigests"]
        # An image may have digests of several registries.
        digest = next(d for d in digests if d.startswith(f"{tag.rpartition(':')[0]}@"))
        lines.append(f"{tag}@{digest.partition('@')[2]}\n")
    LOCK.write_text("".join(lines), encoding="utf-8")
