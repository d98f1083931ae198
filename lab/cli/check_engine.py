"""Checks the container engine and its images, for `lab doctor`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lab.cli.check import Check, Health
from lab.core.errors import ClusterError
from lab.providers import images, swarm_hosts, swarm_images
from lab.providers.engine import ENGINES, engine, find_engine
from lab.providers.images import NODE, official
from lab.providers.images.recipe import SERVERS

IMAGES_GIB = 4.0


def containers() -> Iterator[Check]:
    """Check the needs of `--provider compose` up to the first problem; the rest depends on it."""
    name = "engine"
    try:
        with engine() as client:
            info = client.info()
        version = f"Docker {info['ServerVersion']}, {info['Driver']}"
        yield Check("engine", Health.OK, f"{version}, cgroup version {info['CgroupVersion']}.")
        name = "compose"
        versions = find_engine()
        yield Check("compose", Health.OK, f"Docker Compose {versions.compose}.")
        yield engine_disk(Path(info["DockerRootDir"]), versions.endpoint)
        name = "images"
        built = images.present()
        finding = f"On {built[NODE].origin} software: {', '.join(built)}."
        if others := [server for server in SERVERS if server not in built]:
            finding += f" A run builds what it needs of: {', '.join(others)}."
        yield Check("images", Health.OK, finding)
        if loose := sorted(i.name for i in built.values() if not official.is_pinned(i.name)):
            finding = f"Not pinned: {', '.join(loose)}; the content of these tags can change."
            yield Check("image pins", Health.WARN, finding, "nox -s images -- --lock")
    except ClusterError as error:
        yield _warning(name, error)


def swarm() -> Iterator[Check]:
    """Check the needs of `--provider swarm`, if this engine manages a swarm or others are named."""
    try:
        with engine() as client:
            is_member = client.info()["Swarm"]["LocalNodeState"] == "active"
        if not is_member and not os.environ.get(ENGINES):
            finding = "This engine is in no swarm; --provider swarm needs one."
            yield Check("swarm", Health.OK, finding)
            return
        hosts = swarm_hosts.find()
        lacking = swarm_images.lacking(hosts, images.present())
    except ClusterError as error:
        yield _warning("swarm", error)
        return
    workers = ", ".join(host.name for host in hosts.workers)
    driver, servers = hosts.manager.name, hosts.broker.name
    finding = f"Driver on {driver}, servers on {servers}, workers on {workers}."
    yield Check("swarm", Health.OK, finding)
    if names := ", ".join(f"{image.name} on {host.name}" for host, image in lacking):
        finding = f"Missing, and copied by the next run: {names}."
        yield Check("swarm images", Health.WARN, finding, "lab bench --provider swarm")


def _warning(name: str, error: ClusterError) -> Check:
    """Turn an error into a warning: `--provider local` needs no engine."""
    finding, _, fix = str(error).partition(" Run: ")
    fix = fix or "lab bench --provider local"
    return Check(name, Health.WARN, f"{finding.rstrip('.')}.", fix)


def engine_disk(data: Path, endpoint: str) -> Check:
    """Check the space for images, if this machine has the engine's disk."""
    # The path is one of the engine's machine, which is this one only if a socket leads to it.
    if not endpoint.startswith("unix:") or not data.exists():
        return Check("engine disk", Health.OK, "Not readable: the engine runs on another machine.")
    free_gib = shutil.disk_usage(data).free / 2**30
    finding = f"{free_gib:.1f} GiB are free for images and containers."
    if free_gib < IMAGES_GIB:
        return Check("engine disk", Health.WARN, finding, "docker system prune")
    return Check("engine disk", Health.OK, finding)
