"""The images that clusters in containers are made of: official ones, or stand-ins made here.

A name says what is in it: an image made here is tagged with a hash of all that goes into it. So it
is current when it is there at all, and a campaign keeps its own while files change under it.
"""

from __future__ import annotations

import fcntl
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lab.providers.engine import docker, find
from lab.providers.images import builder, debian, official, recipe
from lab.providers.images.recipe import FOLDER, SERVERS, is_made_here, variable

RECORD = FOLDER / "images.env"
HEADER = """\
# Written by `nox -s images`, read by the lab: which images take the places in compose.yaml.
# Delete this file to have the registry asked again.
"""


class Origin(StrEnum):
    """Where the software in an image came from."""

    OFFICIAL = "official"  # a registry; for the node image: the Python that it is made on
    LOCAL = "local"  # this machine's own Debian packages


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its name for people and files, its id for the results."""

    name: str
    id: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Images:
    """All that a cluster may need."""

    node: Image
    redis: Image
    rabbitmq: Image
    postgres: Image

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that compose.yaml takes its images from."""
        return {variable(part): getattr(self, part).name for part in ("node", *SERVERS)}


@functools.cache  # once a process: files may change while a campaign runs, its images may not
def _trees() -> Mapping[str, recipe.Tree]:
    return recipe.read()


@functools.cache
def resolve() -> Images:
    """Find the images that fit the files of this checkout, and change nothing.

    Raises:
        ClusterError: One is missing, or no engine answers.
    """
    names = recipe.names(_sources(), _trees())
    base = names.pop("base")
    ids = docker("image", "inspect", "--format", "{{.Id}}", *names.values()).decode().split()
    # Where the node's software comes from is where the image below it came from.
    below = {**names, "node": base}
    found = zip(names.items(), ids, strict=True)
    return Images(**{part: Image(name, id_, _origin(below[part])) for (part, name), id_ in found})


def build(progress: Callable[[str], None]) -> Images:
    """Pull or make what is missing, telling `progress` each step; a second call does nothing.

    Raises:
        ClusterError: An image cannot be had; the message says why, and what to do.
    """
    find()
    _trees.cache_clear()
    resolve.cache_clear()
    # Two builds at once would make everything twice; the second waits, and finds it done.
    with recipe.DOCKERFILE.open(encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        sources = _sources()
        sources |= official.pull(sources, progress)
        names = recipe.names(sources, _trees())
        missing = {part: image for part, image in names.items() if not official.is_here(image)}
        for part, image in missing.items() if missing.keys() != {"base"} else ():
            if part == "base":
                debian.make_base(image, progress)
            else:
                builder.make(part, image, names["base"], _trees()[part], progress)
        _record(names)
    return resolve()


def _sources() -> dict[str, str]:
    """Name the official images, with an empty name where an earlier call had to make its own."""
    lines = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.exists() else []
    recorded = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    return {
        part: "" if is_made_here(recorded.get(variable(part), "")) and not named else image
        for part, image in official.chosen().items()
        for named in [official.named(part)]
    }


def _record(names: Mapping[str, str]) -> None:
    lines = [f"{variable(part)}={image}\n" for part, image in names.items()]
    fresh = RECORD.with_suffix(".new")
    fresh.write_text(HEADER + "".join(lines), encoding="utf-8")
    fresh.replace(RECORD)


def _origin(image: str) -> Origin:
    return Origin.LOCAL if is_made_here(image) else Origin.OFFICIAL
