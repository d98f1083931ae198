"""Tests how the hosts of a swarm get their images: from this engine, or through a registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from lab.core.errors import ClusterError
from lab.providers import images, swarm_hosts, swarm_images
from lab.providers.images import Image, Origin
from lab.providers.images.recipe import SERVERS
from tests.factories.fake_swarm import FakeSwarm

PARTS = {"node": "n", "redis": "r", "rabbitmq": "q", "postgres": "p"}
IMAGES = {part: Image(f"{n}:1", f"sha256:{n}", Origin.LOCAL) for part, n in PARTS.items()}


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSwarm]:
    """Replace the engines: workers on n2, servers on n3, all images on n1."""
    engines = FakeSwarm()
    engines.set(3, is_broker=True)
    engines.images[""] = ["n:1", "r:1", "q:1", "p:1"]
    for module in (swarm_hosts, swarm_images):
        monkeypatch.setattr(module, "engine", engines.engine)
    monkeypatch.setattr(swarm_hosts, "named_engines", lambda: ("ssh://n2", "ssh://n3"))
    monkeypatch.setattr(images, "resolve", IMAGES.__getitem__)
    yield engines
    swarm_hosts.known.cache_clear()


@pytest.mark.parametrize("registry", ["", "registry.example:5000/"])
def test_a_host_gets_only_the_images_that_it_lacks(
    engines: FakeSwarm, monkeypatch: pytest.MonkeyPatch, registry: str
) -> None:
    """Workers need the image of the nodes, and the host of the servers needs all."""
    monkeypatch.setenv("LAB_REGISTRY", registry)
    engines.images["ssh://n3"] = ["n:1", "q:1"]
    said = list[str]()
    swarm_images.bring(said.append, SERVERS)
    names = {address: [n[0] for n in names] for address, names in engines.images.items()}
    assert names["ssh://n2"] == ["n"]
    assert sorted(names["ssh://n3"]) == ["n", "p", "q", "r"]
    assert said[0] == "Copying the image n:1 to n2 ..."
    assert len(said) == 3
    pushed = [f"registry.example:5000/{name}" for name in "nrp"]
    assert engines.registry == (pushed if registry else [])
    swarm_images.bring(said.append, SERVERS)
    assert len(said) == 3


def test_each_host_lists_its_images_once(
    engines: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list comes over SSH."""
    addresses = list[str]()

    def engine(address: str) -> AbstractContextManager[Any]:
        addresses.append(address)
        return engines.engine(address)

    monkeypatch.setattr(swarm_images, "engine", engine)
    assert len(swarm_images.lacking(swarm_hosts.known(), SERVERS)) == 5
    assert sorted(addresses) == ["ssh://n2", "ssh://n3"]


def test_a_registry_that_does_not_have_the_image_is_reported(
    engines: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to a pull begins well."""
    monkeypatch.setenv("LAB_REGISTRY", "registry.example")
    monkeypatch.setattr(engines, "registry", Forgetful(["registry.example/n"]))
    with pytest.raises(ClusterError, match="The image registry.example/n is missing"):
        swarm_images.bring(lambda _: None, SERVERS)


def test_a_host_with_another_image_is_reported(
    engines: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine may refuse an image without an error."""
    monkeypatch.setattr(swarm_images, "_copy", lambda *_: None)
    assert engines.images["ssh://n2"] == []
    with pytest.raises(ClusterError, match="n2 has not kept n:1"):
        swarm_images.bring(lambda _: None, SERVERS)


class Forgetful(list[str]):
    """A registry that describes an image and does not have it."""

    def __contains__(self, _: object) -> bool:
        return False
