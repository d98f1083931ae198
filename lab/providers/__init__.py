"""Lists the providers of clusters. A provider starts a topology, samples it and removes it."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from typing import cast

from lab.core.provider import Cluster


class Providers(Mapping[str, type[Cluster]]):
    """The class of each provider by name, imported when it is looked up.

    `places` has the module and the class of each name. `lab bench --help` and shell completion list
    the names, and need no container engine for that.
    """

    def __init__(self, places: dict[str, str]) -> None:
        self.places = places

    def __getitem__(self, name: str) -> type[Cluster]:
        # The modules import psutil and the SDK of the engine, which takes 33 ms.
        return cast("type[Cluster]", pkgutil.resolve_name(self.places[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


PROVIDERS = Providers(
    {
        "local": "lab.providers.local:LocalCluster",
        "compose": "lab.providers.compose:ComposeCluster",
        "swarm": "lab.providers.swarm:SwarmCluster",
    }
)
# What each provider hosts its clusters in.
WORDS: Mapping[str, str] = {
    "local": "local (plain processes)",
    "compose": "compose (containers)",
    "swarm": "swarm (containers on many machines)",
}
