"""Clusters of containers for tests, and what must be gone after them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lab import processes, registry, trial
from lab.cluster import Site
from lab.clusters import reaper
from lab.clusters.compose import ComposeCluster
from lab.model import TrialSpec


def cluster_of(spec: TrialSpec, folder: Path) -> ComposeCluster:
    """Make the cluster of a trial in `folder`; it is not up yet."""
    backend = registry.select(spec.label).backend
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: f"{spec.id}-1"}
    return ComposeCluster(Site(spec, backend, folder, trial.place(spec), labels))


def left_of(pid: int) -> list[reaper.Remains]:
    """Return the objects in the engine that belong to the lab process `pid`."""
    return [thing for thing in reaper.remains() if f":{pid}:" in thing.owner]


@contextlib.contextmanager
def standing(spec: TrialSpec, folder: Path) -> Iterator[ComposeCluster]:
    """Bring the cluster of a trial up, without a driver, and take it down again."""
    cluster = cluster_of(spec, folder)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
