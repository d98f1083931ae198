"""The official images: what they are called, whether they are pinned, and pulling them."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping

from lab.core.errors import ClusterError
from lab.providers.engine import docker
from lab.providers.images.recipe import FOLDER, SERVERS, is_made_here, variable

COMPOSE_FILE = FOLDER / "compose.yaml"
# Lines `name:tag@sha256:...`; what is named here is pulled with this content and no other.
LOCK = FOLDER / "images.lock"
PULL_S = 1800.0


def chosen() -> dict[str, str]:
    """Name the official image of the base and of each server: from the environment, else ours.

    The tags of the servers stand in compose.yaml, for everybody to read. The base has the Python
    that the lab itself runs on, so that providers can be compared.
    """
    return {part: named(part) or _pinned(tag) for part, tag in _tags().items()}


def _tags() -> dict[str, str]:
    tags = dict(re.findall(r"\$\{(LAB_\w+_IMAGE):-([^}]+)\}", COMPOSE_FILE.read_text("utf-8")))
    base = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    return {"base": base} | {server: tags[variable(server)] for server in SERVERS}


def named(part: str) -> str:
    """Return the image that the environment names for `part`; compose would take it too."""
    return os.environ.get(variable(part), "")


def _pinned(tag: str) -> str:
    lines = LOCK.read_text(encoding="utf-8").split() if LOCK.exists() else []
    return next((line for line in lines if line.startswith(f"{tag}@")), tag)


def is_pinned(image: str) -> bool:
    """Tell whether a name says what is in the image: by its digest, or because it is made here."""
    return "@sha256:" in image or is_made_here(image)


def is_here(image: str) -> bool:
    """Tell whether the engine, which answers, has an image of this name."""
    try:
        docker("image", "inspect", "--format", "{{.Id}}", image)
    except ClusterError:
        return False
    return True


def pull(sources: Mapping[str, str], progress: Callable[[str], None]) -> dict[str, str]:
    """Pull what is not here yet; return the parts that cannot be had, each with an empty name.

    A registry that has failed once is not asked again: where there is none, asking takes long.

    Raises:
        ClusterError: An image that the environment names cannot be had.
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
            docker("pull", "--quiet", image, patience_s=PULL_S)
        except ClusterError as error:
            if named(part):
                raise ClusterError(
                    f"{variable(part)} names {image}, which cannot be pulled. "
                    "Name another one, then run: nox -s images"
                ) from error
            missing[part] = ""
            progress(
                f"No registry gives {image} (docker pull {image} says why), so what is missing is "
                "made from this machine's own Debian packages."
            )
    return missing


def lock(progress: Callable[[str], None]) -> None:
    """Pull every official image as its tag stands today, and write the lock that pins it.

    Raises:
        ClusterError: The registry does not give one of them; the lock is left as it was.
    """
    lines = []
    for tag in _tags().values():
        progress(f"Pulling {tag}.")
        docker("pull", "--quiet", tag, patience_s=PULL_S)
        told = docker("image", "inspect", "--format", "{{json .RepoDigests}}", tag)
        # An image may have come from several registries; the digest of this one's is meant.
        digest = next(d for d in json.loads(told) if d.startswith(f"{tag.rpartition(':')[0]}@"))
        lines.append(f"{tag}@{digest.partition('@')[2]}\n")
    LOCK.write_text("".join(lines), encoding="utf-8")
