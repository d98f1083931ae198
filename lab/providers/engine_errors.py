"""Turns each error of the container engine into one sentence with the next step."""

from __future__ import annotations

import re
from collections.abc import Iterator

KILLED = "137"
RAISE = "raise LAB_SERVICES_MEMORY or LAB_NODE_MEMORY."
LOCAL = "or measure with --provider local."
NO_PERMISSION = (
    "This user has no permission to use the container engine. "
    f"Run: sudo usermod -aG docker $USER, and log in again; {LOCAL}"
)
NO_ENGINE = (
    "No container engine answers. "
    f"Run: sudo .ci/ensure-docker.sh, or start Docker another way; {LOCAL}"
)
# Pattern of an error's text -> the sentence to show; the first pattern that matches is used.
KNOWN = {
    "permission denied while trying to connect": NO_PERMISSION,
    "cannot connect to the docker|docker daemon running|failed to connect to the docker"
    "|error during connect": NO_ENGINE,
    "unknown command: docker compose|'compose' is not a docker command|unknown (shorthand )?flag": (
        "Docker Compose v2 is missing. "
        f"Run: sudo .ci/ensure-docker.sh, or install docker-compose-plugin; {LOCAL}"
    ),
    "buildx component is missing": (
        "Docker's buildx is missing. "
        f"Run: sudo .ci/ensure-docker.sh, or install docker-buildx-plugin; {LOCAL}"
    ),
    "install paramiko": (
        "An engine over ssh needs paramiko. Run: uv pip install paramiko; or set DOCKER_HOST"
    ),
    r"no such image:? *(?P<what>\S*)|pull access denied for (?P<what2>[^ ,]+)"
    r"|manifest for (?P<what3>\S+) not found": ("The image {what} is missing. Run: nox -s images"),
    "no space left on device": "The container engine's disk is full. Run: docker system prune",
    "pool overlaps|non-overlapping ipv4 address pool|address pools have been fully subnetted"
    "|cannot create network": (
        "No subnet is free for the cluster's network. Run: docker network prune"
    ),
}


def explain(output: str) -> str:
    """Turn the error text of the engine or of Docker's command into one sentence."""
    for pattern, sentence in KNOWN.items():
        if match := re.search(pattern, output, re.IGNORECASE):
            names = (value for value in match.groupdict().values() if value)
            return sentence.format(what=next(names, "of this cluster").rstrip(".,:;"))
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    last = lines[-1].rstrip(".") if lines else "no error output"
    return f"The container engine failed: {last}. Run: lab doctor"


def explain_exception(error: Exception) -> str:
    """Turn an exception of the SDK, or of the connection under it, into one sentence."""
    import requests
    from docker.errors import APIError, ContainerError

    if isinstance(error, APIError):
        return explain(error.explanation or str(error))
    if isinstance(error, ContainerError):
        stderr = error.stderr or b""
        return explain(stderr if isinstance(stderr, str) else stderr.decode(errors="replace"))
    causes = [*_causes(error)]
    # These two before OSError, which is their base class.
    if any(isinstance(cause, PermissionError) for cause in causes):
        return NO_PERMISSION
    if any(isinstance(cause, TimeoutError | requests.Timeout) for cause in causes):
        return "The container engine did not answer in time. Run: lab doctor"
    # Any other error of the connection: no socket, refused, reset, or an unknown host.
    if any(isinstance(cause, OSError) for cause in causes):
        return NO_ENGINE
    return explain(str(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        # The HTTP client raises without `from`, so the cause may be only in `__context__`.
        error = error.__cause__ or error.__context__


def ending(event: str, name: str, code: str, last_line: str) -> str:
    """Return the sentence for an event, `oom` or `die`, of a container.

    On a busy machine, the engine reported 1 of 20 kills at a memory limit after the death or
    never. So a killed container may have reached its limit without an `oom` event.
    """
    if event == "oom":
        return f"{name} reached its memory limit and the kernel killed a process in it: {RAISE}"
    end = f"{name} ended with code {code or 'unknown'}: {last_line}"
    if code != KILLED:
        return end
    return f"{end} (killed; unless by a user, probably at its memory limit: {RAISE})"
