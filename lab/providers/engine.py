"""Connects to the container engine by its SDK, with the address that Docker's command would use."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.core.errors import ClusterError
from lab.providers import docker_command
from lab.providers.engine_errors import explain_exception

if TYPE_CHECKING:
    from docker import DockerClient

FIRST_ANSWER_S, PATIENCE_S = 10, 120
# The variable that names the engines of a swarm's workers, separated by spaces.
ENGINES = "LAB_ENGINES"
# The variables that decide which engine answers, and how.
VARIABLES = (
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_API_VERSION"),
    *("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"),
)


class Engine(NamedTuple):
    """The versions of the engine and of Compose, and the address of the engine."""

    version: str
    compose: str
    endpoint: str


@contextlib.contextmanager
def engine(address: str = "") -> Iterator[DockerClient]:
    """Yield the client of an engine, and turn each of its errors into one sentence.

    Args:
        address: As for DOCKER_HOST, or the name of a context; empty: the engine that Docker's
            command would use.

    Raises:
        ClusterError: The engine does not answer, refuses, or reports an error.
    """
    # Not at the top: the SDK and its HTTP client are imported only where an engine is used.
    import requests
    import urllib3
    from docker.errors import DockerException

    try:
        if address:  # at each use, because another host may leave
            _require_socket(endpoint(address))
        yield _client(address, tuple(map(os.environ.get, VARIABLES)))
    except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise ClusterError(explain_exception(error)) from error


@cache  # one client per address, because its connections stay open between requests
def _client(address: str, _variables: tuple[str | None, ...]) -> DockerClient:
    host = endpoint(address)
    _require_socket(host)
    import docker

    variables = {**os.environ, "DOCKER_HOST": host} if address else None
    # The SDK first queries the version. So an engine that hangs is noticed early.
    version = os.environ.get("DOCKER_API_VERSION")
    client = docker.from_env(
        version=version, timeout=FIRST_ANSWER_S, environment=variables, use_ssh_client=True
    )
    client.api.timeout = PATIENCE_S
    return client


def _require_socket(address: str) -> None:
    """Check that an engine of this machine listens: the SDK would leak the socket of a failure."""
    if not address.startswith("unix://"):
        return
    with socket.socket(socket.AF_UNIX) as attempt:
        attempt.settimeout(FIRST_ANSWER_S)
        try:
            attempt.connect(address.removeprefix("unix://"))
        except OSError as error:
            raise ClusterError(explain_exception(error)) from error


def endpoint(address: str = "") -> str:
    """Return the address of an engine, such as ``unix:///var/run/docker.sock``.

    Raises:
        ClusterError: The chosen context does not exist. The SDK would use another engine then.
    """
    from docker.context import ContextAPI

    if "://" in address:
        return address
    if not address and (host := os.environ.get("DOCKER_HOST")):
        return host
    context: Any = ContextAPI.get_context(address or os.environ.get("DOCKER_CONTEXT"))
    if context is None:
        name = address or "The current Docker context"
        raise ClusterError(f"{name} does not exist. Run: docker context ls")
    return str(context.Host)


def named_engines() -> tuple[str, ...]:
    """Return the addresses of the engines in LAB_ENGINES; empty text: that of Docker's command.

    Raises:
        ClusterError: One is the name of a context that does not exist.
    """
    named = [endpoint(name) for name in os.environ.get(ENGINES, "").split()]
    here = endpoint() if named else ""
    return tuple(dict.fromkeys("" if address == here else address for address in named))


def find_engine() -> Engine:
    """Return the engine and its Compose.

    Raises:
        ClusterError: No engine answers, or it is not usable; the message has the next step.
    """
    with engine() as client:
        version = client.version()["Version"]
    return Engine(version, docker_command.compose_version(), endpoint())
