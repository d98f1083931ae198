"""Providers of clusters, one file each: bring a topology up, sample it, take it down."""

from collections.abc import Mapping

from lab.cluster import Cluster
from lab.clusters.compose import ComposeCluster
from lab.clusters.local import LocalCluster

PROVIDERS: Mapping[str, type[Cluster]] = {
    "local": LocalCluster,
    "compose": ComposeCluster,
}
