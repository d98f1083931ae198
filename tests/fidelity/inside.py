"""Runs a script in containers, where its server is one that no plain process of ours can be.

The cluster is that of the lab's trial of the pair, without its nodes: the script starts the workers
itself, in the driver's container, on the CPUs that the nodes of the trial have.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab.core.backend import services_of
from lab.core.model import TrialSpec
from lab.core.placement import cpu_text
from lab.core.provider import TrialContext
from lab.host import processes
from lab.planning import registry
from lab.providers import container_process, images
from lab.providers.compose import ComposeCluster
from lab.providers.compose_override import DRIVER, endpoints
from lab.providers.images.recipe import variable
from lab.providers.servers import SERVICES
from lab.running import trial
from tests.cluster.containers import having

HERE = Path(__file__).parent


def is_needed(label: str) -> bool:
    """Return whether a variant has a server that comes with containers only."""
    chosen = registry.select(label)
    return not set(services_of(chosen.backend, chosen.variant)) <= set(SERVICES)


def printed_by(module: str, arguments: Sequence[str], spec: TrialSpec, folder: Path) -> str:
    """Run a script beside the servers of a trial, and return what it prints."""
    chosen, place = registry.select(spec.label), trial.place(spec)
    nothing = {name: classmethod(lambda *_: ()) for name in ("node_commands", "preparation")}
    servers = type("ServersOnly", (chosen.backend,), nothing)
    everywhere = tuple(sorted({*place.driver, *place.nodes[0]}))
    with (
        tempfile.TemporaryDirectory() as package,
        having(
            _here(Path(package)), images.of(services_of(chosen.backend, chosen.variant))
        ) as built,
    ):
        labels = {
            processes.OWNER: processes.owner(),
            processes.TRIAL: "fidelity",
            variable("node"): built["node"].name,
        }
        site = TrialContext(
            spec, servers, folder / "trial", replace(place, driver=everywhere), labels
        )
        site.folder.mkdir()
        cluster = ComposeCluster(site)
        try:
            cluster.up()
            addresses = [
                word
                for name, where in endpoints(
                    services_of(chosen.backend, chosen.variant), cluster.password
                ).items()
                for word in (f"--{name}", where)
            ]
            words = ("taskset", "--cpu-list", cpu_text(place.driver), "python", "-m", module)
            argv = (*words, *arguments, *addresses)
            return container_process.run(cluster.parts[DRIVER].id, *argv).decode()
        finally:
            cluster.down()


def _here(package: Path) -> Path:
    """Lay these scripts out as they are to lie in the image."""
    shutil.copytree(
        HERE, package / "tests" / HERE.name, ignore=shutil.ignore_patterns("__pycache__")
    )
    return package
