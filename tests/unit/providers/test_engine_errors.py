"""Tests that each error of the container engine becomes one sentence with the next step."""

from __future__ import annotations

import pytest

from lab.providers.engine_errors import ending, explain

SOCKET = "unix:///var/run/docker.sock"
OUTPUTS = {
    f"permission denied while trying to connect to the Docker daemon socket at {SOCKET}: Get "
    '"http://%2Fvar%2Frun%2Fdocker.sock/v1.41/info": connect: permission denied': (
        "sudo usermod -aG docker $USER"
    ),
    f"Cannot connect to the Docker daemon at {SOCKET}. Is the docker daemon running?": (
        "No container engine answers. Run: sudo .ci/ensure-docker.sh"
    ),
    f"failed to connect to the docker API at {SOCKET}; check if the path is correct": (
        "No container engine answers. Run: sudo .ci/ensure-docker.sh"
    ),
    'error during connect: Get "http://docker.example.com/v1.50/info": ssh: Name not known': (
        "No container engine answers."
    ),
    "docker: unknown command: docker compose\n\nRun 'docker --help' for more information": (
        "Docker Compose v2 is missing. Run: sudo .ci/ensure-docker.sh"
    ),
    "unknown flag: --short\nSee 'docker --help'.": "Docker Compose v2 is missing.",
    "ERROR: BuildKit is enabled but the buildx component is missing or broken.": (
        "Docker's buildx is missing."
    ),
    "Error response from daemon: no such image: lab-node:1: No such image: lab-node:1": (
        "The image lab-node:1 is missing. Run: nox -s images"
    ),
    "Error: No such image: redis:7.2": "The image redis:7.2 is missing. Run: nox -s images",
    "write /var/lib/docker/tmp/x: no space left on device": "docker system prune",
    "could not find an available, non-overlapping IPv4 address pool among the defaults": (
        "No subnet is free"
    ),
    # Not every denied permission concerns the engine's socket.
    "OCI runtime exec failed: open /x: permission denied": "open /x: permission denied. Run: lab",
    "": "no error output",
}


@pytest.mark.parametrize(("output", "sentence"), OUTPUTS.items())
def test_an_error_becomes_a_sentence_with_the_next_step(output: str, sentence: str) -> None:
    """The outputs are from real engines, old and new."""
    message = explain(output)
    assert sentence in message
    assert "Run: " in message
    assert "\n" not in message


def test_a_killed_container_may_have_reached_its_memory_limit() -> None:
    """The engine does not always report it; any other end has the last output as its reason."""
    step = "raise LAB_SERVICES_MEMORY or LAB_NODE_MEMORY."
    assert ending("oom", "redis", "", "").endswith(step)
    killed = ending("die", "redis", "137", "Ready")
    assert killed.startswith("redis ended with code 137: Ready")
    assert step in killed
    assert ending("die", "node0", "1", "no queue") == "node0 ended with code 1: no queue"
