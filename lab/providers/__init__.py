"""Lists the providers of clusters. A provider starts a topology, samples it and removes it."""

from collections.abc import Mapping

from lab.core.provider import Cluster
from lab.providers.compose import ComposeCluster
from lab.providers.local import LocalCluster

PROVIDERS: Mapping[str, type[Cluster]] = {
    "local": LocalCluster,
    "compose": ComposeCluster,
}
