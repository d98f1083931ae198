"""Runs commands of the container engine through its command line.

The command line applies Docker contexts and DOCKER_HOST. Each error of the engine becomes one
sentence with the next step.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lab.core.errors import ClusterError
from lab.host import child_environment

PROGRAM = "docker"
PATIENCE_S = 120.0
KILLED = "137"
RAISE = "raise LAB_SERVICES_MEMORY or LAB_NODE_MEMORY."
LOCAL = "or measure with --provider local."
# Pattern of an engine's error -> the sentence to show; the first pattern that matches is used.
KNOWN = {
    "permission denied while trying to connect": (
        "This user has no permission to use the container engine. "
        f"Run: sudo usermod -aG docker $USER, and log in again; {LOCAL}"
    ),
    "cannot connect to the docker|docker daemon running|failed to connect to the docker"
    "|error during connect": (
        "No container engine answers. "
        f"Run: sudo .ci/ensure-docker.sh, or start Docker another way; {LOCAL}"
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
    """The versions of the engine and of Compose, and the address of the engine."""

    version: str
    compose: str
    endpoint: str


def docker(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    given: bytes = b"",
    patience_s: float = PATIENCE_S,
) -> bytes:
    """Run one docker command and return its standard output.

    Args:
        arguments: The words of the command after ``docker``.
        environment: Variables to add to those of `child_environment.of_engine`.
        given: The standard input of the command.
        patience_s: The time limit in seconds.

    Raises:
        ClusterError: The command failed, is not installed, or exceeded the time limit.
    """
    try:
        with starting():
            done = subprocess.run(
                [PROGRAM, *arguments],
                input=given,
                capture_output=True,
                check=False,
                timeout=patience_s,
                env={**child_environment.of_engine(), **(environment or {})},
                start_new_session=True,  # the lab handles Ctrl-C: a half-done `up` must not end
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
        ClusterError: Replaces that error; other errors pass.
    """
    try:
        yield
    except OSError as error:
        if error.filename != PROGRAM:
            raise
        if isinstance(error, FileNotFoundError):
            raise ClusterError(
                "Docker is not installed. "
                f"Run: sudo .ci/ensure-docker.sh, or install it another way; {LOCAL}"
            ) from error
        raise ClusterError(
            f"docker cannot be started: {error.strerror}. Run: lab doctor"
        ) from error


def explain(output: str) -> str:
    """Turn the error output of the engine into one sentence with the next step."""
    for pattern, sentence in KNOWN.items():
        if match := re.search(pattern, output, re.IGNORECASE):
            names = (value for value in match.groupdict().values() if value)
            return sentence.format(what=next(names, "of this cluster").rstrip(".,:;"))
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    last = lines[-1].rstrip(".") if lines else "no error output"
    return f"The container engine failed: {last}. Run: lab doctor"


def ending(event: str, name: str, code: str, last_words: str) -> str:
    """Return the sentence for an event, `oom` or `die`, of a container.

    On a busy machine, the engine reported 1 of 20 kills at a memory limit after the death or
    never. So a killed container may have reached its limit without an `oom` event.
    """
    if event == "oom":
        return f"{name} reached its memory limit and the kernel killed a process in it: {RAISE}"
    end = f"{name} ended with code {code or 'unknown'}: {last_words}"
    if code != KILLED:
        return end
    return f"{end} (killed; unless by a user, probably at its memory limit: {RAISE})"


def find_engine() -> Engine:
    """Return the engine and its Compose.

    Raises:
        ClusterError: No engine answers, or it is not usable; the message has the next step.
    """
    version = docker("version", "--format", "{{.Server.Version}}", patience_s=10.0)
    compose = docker("compose", "version", "--short", patience_s=10.0).decode().strip()
    if not compose.removeprefix("v").startswith(("2", "3", "4", "5")):
        raise ClusterError(
            f"Docker Compose is {compose}; 2 or newer is needed. Run: sudo .ci/ensure-docker.sh"
        )
    endpoint = docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    return Engine(version.decode().strip(), compose.removeprefix("v"), endpoint.decode().strip())
