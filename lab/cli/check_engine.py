"""Checks the container engine and its images, for `lab doctor`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from lab.cli.check import Check, Health
from lab.core.errors import ClusterError
from lab.providers.engine import engine, find_engine
from lab.providers.images import official, resolve

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
        images = resolve()
        yield Check("images", Health.OK, f"All are built, on {images.node.origin} software.")
        if loose := sorted(n for n in images.environment.values() if not official.is_pinned(n)):
            finding = f"Not pinned: {', '.join(loose)}; the content of these tags can change."
            yield Check("image pins", Health.WARN, finding, "nox -s images -- --lock")
    except ClusterError as error:
        finding, _, fix = str(error).partition(" Run: ")
        fix = fix or "lab bench --provider local"
        # A warning only: `--provider local` needs no engine.
        yield Check(name, Health.WARN, f"{finding.rstrip('.')}.", fix)


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
