"""Talks to a container engine through its command line, which knows contexts and DOCKER_HOST.

Whatever the engine refuses becomes one sentence that names the next step.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lab import surroundings
from lab.errors import ClusterError

PROGRAM = "docker"
PATIENCE_S = 120.0
KILLED = "137"
RAISE = "raise LAB_SERVICES_MEMORY or LAB_NODE_MEMORY."
LOCAL = "or measure with --provider local."
# What engines say, and what it means to somebody who wants to measure; the first that fits counts.
KNOWN = {
    "permission denied while trying to connect": (
        "You may not use the container engine. "
        f"Run: sudo usermod -aG docker $USER, and log in again; {LOCAL}"
    ),
    "cannot connect to the docker|docker daemon running|failed to connect to the docker"
    "|error during connect": (
        "No container engine answers. "
        f"Run: sudo .ci/ensure-docker.sh, or start Docker your way; {LOCAL}"
    ),
    "unknown command: docker compose|'compose' is not a docker command|unknown (shorthand )?flag": (
        "Docker Compose v2 is missing. "
        f"Run: sudo .ci/ensure-docker.sh, or install docker-compose-plugin; {LOCAL}"
    ),
    "buildx component is missing": (
        "Docker's buildx is missing. "
        f"Run: sudo .ci/ensure-docker.sh, or install docker-buildx-plugin; {LOCAL}"
    ),
    r"no such image:? *(?P<what>\S*)|pull access denied for (?P<what2>[^ ,]+)"
    r"|manifest for (?P<what3>\S+) not found": ("The image {what} is missing. Run: nox -s images"),
    "no space left on device": "The container engine's disk is full. Run: docker system prune",
    "pool overlaps|non-overlapping ipv4 address pool|address pools have been fully subnetted"
    "|cannot create network": (
        "No subnet is free for the cluster's network. Run: docker network prune"
    ),
}


class Engine(NamedTuple):
    """What answers: versions of engine and Compose, how it is reached, and its cgroup version."""

    version: str
    compose: str
    endpoint: str


def docker(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    given: bytes = b"",
    patience_s: float = PATIENCE_S,
) -> bytes:
    """Run one docker command and return what it printed.

    Raises:
        ClusterError: It failed, is not installed, or took longer than `patience_s` seconds.
    """
    try:
        with starting():
            done = subprocess.run(
                [PROGRAM, *arguments],
                input=given,
                capture_output=True,
                check=False,
                timeout=patience_s,
                env={**surroundings.of_engine(), **(environment or {})},
                start_new_session=True,  # Ctrl-C is ours: it must not end a half-done `up`
            )
    except subprocess.TimeoutExpired as error:
        raise ClusterError(
            f"docker {arguments[0]} did not end in {patience_s:.0f} s. Run: lab doctor"
        ) from error
    if done.returncode:
        raise ClusterError(explain(done.stderr.decode(errors="replace")))
    return done.stdout


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Turn the error of a Docker command that cannot be started into one sentence.

    Raises:
        ClusterError: Instead of the error; any other one passes.
    """
    try:
        yield
    except OSError as error:
        if error.filename != PROGRAM:
            raise
        if isinstance(error, FileNotFoundError):
            raise ClusterError(
                "Docker is not installed. "
                f"Run: sudo .ci/ensure-docker.sh, or get it your way; {LOCAL}"
            ) from error
        raise ClusterError(
            f"docker cannot be started: {error.strerror}. Run: lab doctor"
        ) from error


def explain(complaint: str) -> str:
    """Turn what the engine printed into one sentence with the next step."""
    for pattern, sentence in KNOWN.items():
        if found := re.search(pattern, complaint, re.IGNORECASE):
            named = (value for value in found.groupdict().values() if value)
            return sentence.format(what=next(named, "of this cluster").rstrip(".,:;"))
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    last = lines[-1].rstrip(".") if lines else "it said nothing"
    return f"The container engine refused: {last}. Run: lab doctor"


def ending(event: str, name: str, code: str, last_words: str) -> str:
    """Say what an event, `oom` or `die`, tells of a container.

    One kill in twenty at a memory limit was seen told after the death, or never, on a busy machine:
    whoever was killed may have reached it.
    """
    if event == "oom":
        return f"{name} reached its memory limit and the kernel killed a process of it: {RAISE}"
    died = f"{name} ended with code {code or 'unknown'}: {last_words}"
    if code != KILLED:
        return died
    return f"{died} (Killed, and if by nobody here, probably at its memory limit: {RAISE})"


def find() -> Engine:
    """Return the engine that answers, with its Compose.

    Raises:
        ClusterError: There is none, or it cannot be used; the message says what to do.
    """
    told = docker("version", "--format", "{{.Server.Version}}", patience_s=10.0)
    compose = docker("compose", "version", "--short", patience_s=10.0).decode().strip()
    if not compose.removeprefix("v").startswith(("2", "3", "4", "5")):
        raise ClusterError(
            f"Docker Compose is {compose}; 2 or newer is needed. Run: sudo .ci/ensure-docker.sh"
        )
    endpoint = docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    return Engine(told.decode().strip(), compose.removeprefix("v"), endpoint.decode().strip())
