"""Clusters of containers for tests, and what must be gone after them."""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lab.core.model import TrialSpec
from lab.core.provider import TrialContext
from lab.host import processes
from lab.planning import registry
from lab.providers import reaper
from lab.providers.compose import ComposeCluster
from lab.providers.engine import docker
from lab.providers.images import Images
from lab.running import trial


def cluster_of(spec: TrialSpec, folder: Path) -> ComposeCluster:
    """Make the cluster of a trial in `folder`; it is not up yet."""
    backend = registry.select(spec.label).backend
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: f"{spec.id}-1"}
    return ComposeCluster(TrialContext(spec, backend, folder, trial.place(spec), labels))


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


@contextlib.contextmanager
def having(package: Path, images: Images) -> Iterator[Images]:
    """Offer the images with what lies in `package` beside the lab in that of the nodes."""
    name = f"{images.node.name}-{os.getpid()}"
    (package / "Dockerfile").write_text(f"FROM {images.node.name}\nCOPY . .\n", encoding="utf-8")
    build = ("build", "--quiet", f"--tag={name}", str(package))
    identity = docker(*build, environment={"DOCKER_BUILDKIT": "1"}).decode().strip()
    try:
        yield replace(images, node=replace(images.node, name=name, id=identity))
    finally:
        docker("image", "rm", name)


@contextlib.contextmanager
def elsewhere() -> Iterator[str]:
    """Offer the engine by TCP, as one on another machine is reached; yield its address."""
    path = docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").decode().strip()

    class Forward(socketserver.BaseRequestHandler):
        """Passes bytes on in both directions, and each end of them."""

        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as engine:
                engine.connect(path.removeprefix("unix://"))
                back = threading.Thread(target=pour, args=(engine, self.request), daemon=True)
                back.start()
                pour(self.request, engine)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Forward) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def pour(source: socket.socket, target: socket.socket) -> None:
    """Copy until the source ends, then end the target's half."""
    with contextlib.suppress(OSError):  # the side that closes first ends both directions
        while chunk := source.recv(65_536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
