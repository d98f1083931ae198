"""Fakes a container engine with its registry at a socket, and the programs that build images."""

from __future__ import annotations

import json
import os
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from lab.providers import images
from lab.providers.images import debian, official, steps
from lab.providers.reaper import OWNER, RUN, Remains

# The engine has no API for these. The program finds its folder from $0, because the lab passes only
# listed variables to Docker's command.
COMMAND = """#!/bin/sh
ENGINE=$(dirname "$0")
echo "$1" >> "$ENGINE/calls"
for last; do :; done
case "$1 $2" in
"compose version") echo 2.26 ;;
"build "*)
    echo "#5 [node 1/2] COPY lab lab"
    for word; do
        case $word in
        --tag=*) image="$ENGINE/images/$(echo "${word#--tag=}" | tr /:@ ---)"; touch "$image" ;;
        --label=*) echo "${word#--label=}" >> "$image" ;;
        esac
    done ;;
esac
"""
BOOTSTRAP = """#!/bin/sh
echo 'I: running apt-get update...'
for word; do case $word in *.tar) touch "$word" ;; esac; done
"""
KINDS = {
    "services": "service",
    "containers": "container",
    "networks": "network",
    "volumes": "volume",
}


class FakeEngine:
    """An engine with images and objects, and a record of what it was asked to do.

    Attributes:
        folder: A file in ``images/`` is an image; ``calls`` has one line per call.
        objects: The services, containers, networks and volumes.
        removed: The names of removed objects, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects: list[Remains] = []
        self.removed: list[str] = []
        self.registry()
        (folder / "images").mkdir()
        (folder / "calls").touch()
        for name, text in (("docker", COMMAND), ("mmdebstrap", BOOTSTRAP)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def registry(self, *names: str) -> None:
        """Set the images of the registry."""
        self.in_registry = names

    def image(self, name: str) -> Path:
        """Return the file that exists if the engine has an image."""
        return self.folder / "images" / name.translate(str.maketrans("/:@", "---"))

    def build(self) -> tuple[images.Images, list[str]]:
        """Build the images; return them and the progress messages."""
        messages: list[str] = []
        return images.build(messages.append), messages

    def n_calls(self, command: str) -> int:
        """Return how many calls of this kind there were."""
        return (self.folder / "calls").read_text(encoding="utf-8").split().count(command)

    def answer(self, method: str, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        """Return status and content of the answer to a request."""
        kind, _, name = path.removeprefix("/v1.41").strip("/").partition("/")
        if kind == "version":
            return 200, {"Version": "20.10", "ApiVersion": "1.41"}
        if kind == "images":
            return self._images(method, name, query)
        if method == "DELETE":
            self.removed.append(name)
            self.objects = [thing for thing in self.objects if thing.name != name]
            return 204, None
        (label,) = json.loads(query["filters"][0])["label"]
        listed = [
            {
                "Id": thing.name,
                "Name": thing.name,
                "State": "running" if thing.running else "exited",
            }
            | {"Labels": {RUN: thing.run, OWNER: thing.owner}}
            # As the engine describes a service.
            | {"ID": thing.name, "Spec": {"Labels": {RUN: thing.run, OWNER: thing.owner}}}
            for thing in self.objects
            if thing.kind == KINDS[kind] and label in (RUN, f"{RUN}={thing.run}")
        ]
        return 200, {"Volumes": listed} if kind == "volumes" else listed

    def _images(self, method: str, name: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        if name == "create":
            return self._create(query)
        if name == "json":
            (label,) = json.loads(query["filters"][0])["label"]
            return 200, [image for image in self._built() if label in image["Labels"]]
        if method == "DELETE":
            self.removed.append(name)
            self.image(name).unlink()
            return 200, []
        return self._inspect(name[: -len("/json")])

    def _built(self) -> Iterator[dict[str, Any]]:
        """Describe the images that are built here."""
        for file in self.folder.glob("images/lab-*"):
            # The tag of an environment has a hyphen.
            kind, tag = file.name.removeprefix("lab-").split("-", 1)
            labels = dict(line.split("=", 1) for line in file.read_text("utf-8").splitlines())
            about = {"Labels": {debian.LABEL: tag, **labels}, "Size": 2**20, "Created": 0}
            yield {"RepoTags": [f"lab-{kind}:{tag}"], **about}

    def _inspect(self, name: str) -> tuple[int, Any]:
        if not self.image(name).exists():
            return 404, {"message": f"No such image: {name}"}
        repository = name.partition("@")[0].rpartition(":")[0]
        digests = [f"other/{repository}@sha256:0", f"{repository}@sha256:1"]
        return 200, {"Id": f"sha256:id-of-{name}", "RepoDigests": digests}

    def _create(self, query: dict[str, list[str]]) -> tuple[int, Any]:
        is_import = "fromSrc" in query
        with (self.folder / "calls").open("a", encoding="utf-8") as calls:
            calls.write("import\n" if is_import else "pull\n")
        repository, tag = query["repo" if is_import else "fromImage"][0], query["tag"][0]
        name = f"{repository}@{tag}" if tag.startswith("sha256:") else f"{repository}:{tag}"
        if not is_import and name not in self.in_registry:
            return 500, {"message": 'Get "https://registry/v2/": no such host'}
        self.image(name).touch()
        return 200, {"status": "Pull complete"}


@contextmanager
def listening(engine: FakeEngine, socket: Path) -> Iterator[str]:
    """Let an engine listen on a socket; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        """Passes each request to the engine."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer a request of any method."""
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            url = urlsplit(self.path)
            code, content = engine.answer(self.command, unquote(url.path), parse_qs(url.query))
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_DELETE = do_GET  # noqa: N815 (names of the standard library)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    class Server(socketserver.ThreadingUnixStreamServer):
        """Ends without waiting for the open connections of clients."""

        daemon_threads, block_on_close = True, False

        def handle_error(self, *_: object) -> None:
            """Ignore that a client ends with its connection open."""

    with Server(str(socket), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"unix://{socket}"
        server.shutdown()


@contextmanager
def fake_engine(
    folder: Path, socket: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeEngine]:
    """Replace the engine, its registry and the programs that build images."""
    engine = FakeEngine(folder)
    engine.registry(*official.chosen().values())
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(images, "RECORD", folder / "images.env")
    monkeypatch.setattr(steps, "LOG", folder / "build.log")
    monkeypatch.setattr(debian, "_release", lambda: ("debian", "bookworm"))
    with listening(engine, socket) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        yield engine
