"""Lists the providers of clusters. A provider starts a topology, samples it and removes it."""

from collections.abc import Mapping

from lab.cluster import Cluster
from lab.clusters.compose import ComposeCluster
from lab.clusters.local import LocalCluster

PROVIDERS: Mapping[str, type[Cluster]] = {
    "local": LocalCluster,
    "compose": ComposeCluster,
}
