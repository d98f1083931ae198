"""Provides the container images of clusters: official ones, or replacements that are built here.

The tag of an image that is built here is a hash of its inputs. Therefore an existing image is
always current, and a campaign uses the same images while files change.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from lab.providers.engine import engine, find_engine
from lab.providers.images import builder, debian, official, recipe
from lab.providers.images.recipe import FOLDER, SERVERS, is_built_locally, variable

NODE = "node"
RECORD = FOLDER / "images.env"
HEADER = """\
# Written by `nox -s images`, read by the lab: the images for the variables of compose.yaml.
# To query the registry again, delete this file.
"""


class Origin(StrEnum):
    """The source of the software in an image."""

    OFFICIAL = "official"  # a registry; of the node image, its Python base image
    LOCAL = "local"  # Debian packages, of the release that this machine runs


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its name for messages and files, its id for the results."""

    name: str
    id: str
    origin: Origin


Images: TypeAlias = Mapping[str, Image]
"""Images by the part of a cluster: `node`, and servers."""


@functools.cache  # files may change during a campaign, its images must not
def trees() -> Mapping[str, recipe.Tree]:
    """Return the input files of each image, as they were at the first call."""
    return recipe.read()


def current_names() -> set[str]:
    """Return the names of the images that match the files of this checkout."""
    return {*recipe.names(base_and_servers(), trees()).values()}


@functools.cache
def resolve(part: str) -> Image:
    """Return the image of a part that matches the files of this checkout, without any build.

    Raises:
        ClusterError: The image is missing, or no engine answers.
    """
    names = recipe.names(base_and_servers(), trees())
    with engine() as client:
        image_id = str(client.images.get(names[part]).id)
    # The node image has the origin of its base image.
    origin = _origin(names["base" if part == NODE else part])
    return Image(names[part], image_id, origin)


def of(services: Collection[str]) -> Images:
    """Return the image of the nodes, and those of the services that have one of their own.

    Raises:
        ClusterError: One is missing, or no engine answers.
    """
    return {part: resolve(part) for part in (NODE, *SERVERS) if part in {NODE, *services}}


def present() -> Images:
    """Return the images that the engine has: that of the nodes, and those of some servers.

    Raises:
        ClusterError: The image of the nodes is missing, or no engine answers.
    """
    names = recipe.names(base_and_servers(), trees())
    return of([server for server in SERVERS if official.is_here(names[server])])


def build(progress: Callable[[str], None], services: Collection[str] = SERVERS) -> Images:
    """Pull or build the missing images that `of` returns; call `progress` for each step.

    A second call does nothing.

    Raises:
        ClusterError: An image cannot be pulled or built; the message has the reason and a remedy.
    """
    find_engine()
    trees.cache_clear()
    resolve.cache_clear()
    needed = {"base", NODE, *services}
    with building():
        sources = base_and_servers()
        wanted = {part: image for part, image in sources.items() if part in needed}
        sources |= official.pull(wanted, progress)
        names = recipe.names(sources, trees())
        missing = {
            part: image
            for part, image in names.items()
            if part in needed and not official.is_here(image)
        }
        # A base is only needed to build on: if nothing else is missing, it stays missing.
        for part, image in missing.items() if missing.keys() != {"base"} else ():
            if part == "base":
                debian.make_base(image, progress)
            else:
                target = builder.ImageTarget(part, image, trees()[part])
                builder.make(target, names["base"], progress)
        _record(names)
    return of(services)


@contextlib.contextmanager
def building() -> Iterator[None]:
    """Hold the lock of builds: of two, the second waits, and then has nothing to build."""
    with recipe.DOCKERFILE.open(encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def base_and_servers() -> dict[str, str]:
    """Return the official image of each part, or an empty name if an earlier call built it here."""
    lines = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.exists() else []
    recorded = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    return {
        part: "" if is_built_locally(recorded.get(variable(part), "")) and not named else image
        for part, image in official.chosen().items()
        for named in [official.named(part)]
    }


def _record(names: Mapping[str, str]) -> None:
    lines = [f"{variable(part)}={image}\n" for part, image in names.items()]
    # A reader of the record sees the old lines or the new ones, never a part of them.
    fresh = RECORD.with_suffix(".new")
    fresh.write_text(HEADER + "".join(lines), encoding="utf-8")
    fresh.replace(RECORD)


def _origin(image: str) -> Origin:
    return Origin.LOCAL if is_built_locally(image) else Origin.OFFICIAL
