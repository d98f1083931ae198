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
from lab.providers import docker_command, reaper
from lab.providers.compose import ComposeCluster
from lab.providers.engine import endpoint, engine
from lab.providers.images import Images
from lab.running import trial


def cluster_of(spec: TrialSpec, folder: Path) -> ComposeCluster:
    """Make the cluster of a trial in `folder`; it is not up yet."""
    backend = registry.select(spec.label).backend
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: f"{spec.id}-1"}
    return ComposeCluster(TrialContext(spec, backend, folder, trial.place(spec), labels))


# The objects that exist before a test.
earlier = set[str]()


def names() -> set[str]:
    """Return the names of all objects of labs in the engine."""
    return {thing.name for thing in reaper.remains()}


def left_of(pid: int) -> list[reaper.Remains]:
    """Return the objects of this test in the engine that belong to the lab process `pid`."""
    return [
        thing
        for thing in reaper.remains()
        if f":{pid}:" in thing.owner and thing.name not in earlier
    ]


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
    name = f"{images['node'].name}-{os.getpid()}"
    (package / "Dockerfile").write_text(f"FROM {images['node'].name}\nCOPY . .\n", encoding="utf-8")
    build = ("build", "--quiet", f"--tag={name}", str(package))
    identity = docker_command.run(*build, environment={"DOCKER_BUILDKIT": "1"}).decode().strip()
    try:
        yield {**images, "node": replace(images["node"], name=name, id=identity)}
    finally:
        with engine() as client:
            client.images.remove(name)


class Forward(socketserver.BaseRequestHandler):
    """Passes bytes on in both directions, and each end of them."""

    def handle(self) -> None:
        """Connect to the engine, and copy until both sides have ended."""
        server = self.server
        assert isinstance(server, Remote)
        with socket.socket(socket.AF_UNIX) as local:
            local.connect(server.path)
            server.open_sockets += [local, self.request]
            back = threading.Thread(target=pour, args=(local, self.request), daemon=True)
            back.start()
            pour(self.request, local)
            back.join()


class Remote(socketserver.ThreadingTCPServer):
    """Offers the engine by TCP, as one on another machine is reached."""

    daemon_threads, block_on_close = True, False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Forward)
        self.path = endpoint().removeprefix("unix://")
        self.address = f"tcp://127.0.0.1:{self.server_address[1]}"
        self.open_sockets: list[socket.socket] = []

    def cut(self) -> None:
        """End all connections, and accept no further one."""
        self.shutdown()
        self.server_close()
        for end in self.open_sockets:
            with contextlib.suppress(OSError):  # it has ended already
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def elsewhere() -> Iterator[Remote]:
    """Offer the engine by TCP until the end of the block."""
    with Remote() as remote:
        threading.Thread(target=remote.serve_forever, args=(0.05,), daemon=True).start()
        yield remote
        remote.cut()


def pour(source: socket.socket, target: socket.socket) -> None:
    """Copy until the source ends, then end the target's half."""
    with contextlib.suppress(OSError):  # the side that closes first ends both directions
        while chunk := source.recv(65_536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
