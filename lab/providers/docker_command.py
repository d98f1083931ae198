"""Runs Docker's command, only for Compose: it is a plugin of the command and has no API.

Builds use the command too (`lab.providers.images.builder`): the SDK has no BuildKit, which passes
secrets. All else uses the SDK (`lab.providers.engine`).
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from lab.core.errors import ClusterError
from lab.host import child_environment
from lab.providers.engine_errors import LOCAL, explain

PROGRAM = "docker"
PATIENCE_S = 120.0


def run(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    given: bytes = b"",
    patience_s: float = PATIENCE_S,
) -> bytes:
    """Run Docker's command and return its standard output.

    Args:
        arguments: The words of the command after ``docker``.
        environment: Variables to add to those of `child_environment.of_engine`.
        given: The standard input of the command.
        patience_s: The time limit in seconds.

    Raises:
        ClusterError: The command failed, is not installed, or exceeded the time limit.
    """
    try:
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
    except FileNotFoundError as error:
        raise ClusterError(
            "Docker's command is not installed. "
            f"Run: sudo .ci/ensure-docker.sh, or install it another way; {LOCAL}"
        ) from error
    except OSError as error:
        raise ClusterError(
            f"docker cannot be started: {error.strerror}. Run: lab doctor"
        ) from error
    if done.returncode:
        raise ClusterError(explain(done.stderr.decode(errors="replace")))
    return done.stdout


def compose_version() -> str:
    """Return the version of Compose.

    Raises:
        ClusterError: It is missing or older than version 2; the message has the next step.
    """
    version = run("compose", "version", "--short", patience_s=10.0).decode().strip()
    # Compose 1 accepts the same commands, and lacks features that the lab needs.
    if not version.removeprefix("v").startswith(("2", "3", "4", "5")):
        raise ClusterError(
            f"Docker Compose is {version}; 2 or newer is needed. Run: sudo .ci/ensure-docker.sh"
        )
    return version.removeprefix("v")
