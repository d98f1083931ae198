"""Brings the images of a cluster to the hosts of a swarm, through the engine of each host.

An image goes through this machine, or through the registry that LAB_REGISTRY names. Both keep its
id, by which the services name it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from lab.core.errors import ClusterError
from lab.providers import images, swarm_hosts
from lab.providers.engine import engine
from lab.providers.engine_errors import explain
from lab.providers.images import Image
from lab.providers.swarm_hosts import Host, Swarm

REGISTRY = "LAB_REGISTRY"


def bring(progress: Callable[[str], None], services: Collection[str]) -> None:
    """Copy the images of nodes and services from this engine to the hosts that lack them.

    A second call does nothing.

    Raises:
        ClusterError: A host is not usable, or an engine or the registry does not take an image.
    """
    swarm_hosts.known.cache_clear()
    registry = os.environ.get(REGISTRY, "").rstrip("/")
    for host, image in lacking(swarm_hosts.known(), services):
        progress(f"Copying the image {image.name} to {host.name} ...")
        if registry:
            _by_registry(image, host, registry)
        else:
            _copy(image, host)
        if _absent(host, (image,)):
            raise ClusterError(f"{host.name} has not kept {image.name}. Run: lab doctor swarm")


def lacking(swarm: Swarm, services: Collection[str]) -> list[tuple[Host, Image]]:
    """Return the images that hosts of a swarm need for services and do not have.

    Raises:
        ClusterError: An image is missing on this engine too, or an engine does not answer.
    """
    built = images.of(services)
    needed = dict.fromkeys(swarm.workers, (built[images.NODE],)) | {
        swarm.broker: (*built.values(),)
    }
    return [(host, image) for host, every in needed.items() for image in _absent(host, every)]


def _absent(host: Host, needed: Sequence[Image]) -> list[Image]:
    """Return those of some images that a host does not have."""
    with engine(host.address) as client:
        present = {item["Id"] for item in client.api.images()}
    return [image for image in needed if image.id not in present]


def _copy(image: Image, host: Host) -> None:
    with engine() as here, engine(host.address) as there:
        api: Any = there.api
        # By its name, which the other engine then shows.
        _require_success(api.load_image(here.api.get_image(image.name)))


def _by_registry(image: Image, host: Host, registry: str) -> None:
    """Push an image to a registry, and let a host pull it by its digest."""
    name, _, tag = image.name.partition("@")[0].rpartition(":")
    repository = f"{registry}/{name}"
    with engine() as here:
        api: Any = here.api
        api.tag(image.id, repository, tag)
        _require_success(api.push(repository, tag, stream=True, decode=True))
        digests = api.inspect_image(image.id)["RepoDigests"]
    digest = next(text.partition("@")[2] for text in digests if text.startswith(f"{repository}@"))
    with engine(host.address) as there:
        _require_success(there.api.pull(repository, digest, stream=True, decode=True))


def _require_success(answer: Iterable[Any]) -> None:
    """Read the answer to the end: it begins before the request fails."""
    for line in answer:
        if "error" in line:
            raise ClusterError(explain(line["error"]))
