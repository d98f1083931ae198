"""Fakes the three engines of a swarm, whose first is its manager, and a registry."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from lab.core.errors import ClusterError
from lab.providers.swarm_hosts import BROKER, Host

N1, N2, N3 = (Host(f"n{i}", f"id{i}", f"ssh://n{i}" if i > 1 else "", 4) for i in (1, 2, 3))
HOSTS = (N1, N2, N3)


class FakeSwarm:
    """The engines of three hosts.

    Attributes:
        nodes: The swarm's list of its nodes.
        info: What each engine says about itself, by its address.
        images: The names of the images of each engine, by its address.
        registry: The repositories that have been pushed.
    """

    def __init__(self) -> None:
        self.nodes = [
            {
                "ID": host.node,
                "Description": {"Hostname": host.name},
                "Spec": {"Availability": "active", "Labels": dict[str, str]()},
                "Status": {"State": "ready"},
            }
            for host in HOSTS
        ]
        self.info: dict[str, dict[str, Any]] = {
            host.address: {
                "Name": host.name,
                "NCPU": host.cpus,
                "Swarm": {"NodeID": host.node, "ControlAvailable": host is N1},
            }
            for host in HOSTS
        }
        self.images = {host.address: list[str]() for host in HOSTS}
        self.registry = list[str]()

    def set(self, number: int, availability: str = "active", *, is_broker: bool = False) -> None:
        """Set the availability of a node, and whether it has the label of the servers' host."""
        labels = {BROKER: "true"} if is_broker else {}
        self.nodes[number - 1]["Spec"] = {"Availability": availability, "Labels": labels}

    @contextlib.contextmanager
    def engine(self, address: str = "") -> Iterator[Any]:
        """Yield the client of an engine."""
        if address not in self.info:
            raise ClusterError("No container engine answers.")
        here = self.images[address]

        def load(names: Iterator[str]) -> list[dict[str, str]]:
            here.extend(names)
            return [{"stream": "Loaded"}]

        def push(repository: str, *_: str, **__: bool) -> list[dict[str, str]]:
            self.registry.append(repository)
            return [{"status": "Pushed"}]

        def pull(repository: str, digest: str, **_: bool) -> list[dict[str, str]]:
            if repository not in self.registry or digest != "sha256:digest":
                return [{"status": "Pulling"}, {"error": f"manifest for {repository} not found"}]
            here.append(repository.rpartition("/")[2])
            return [{"status": "Pulled"}]

        api = SimpleNamespace(
            nodes=lambda: self.nodes,
            images=lambda: [{"Id": f"sha256:{name.partition(':')[0]}"} for name in here],
            get_image=lambda name: iter([name]),
            load_image=load,
            tag=lambda *_: True,
            push=push,
            pull=pull,
            inspect_image=lambda _: {
                "RepoDigests": [f"{name}@sha256:digest" for name in self.registry]
            },
        )
        yield SimpleNamespace(info=lambda: self.info[address], api=api)
