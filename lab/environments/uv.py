"""Runs uv, and turns its errors into sentences."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from uv import find_uv_bin

from lab.core.errors import LabError, UsageError
from lab.host import child_environment

DEADLINE_S = 900.0
# Variables of uv, and the folders of its cache, its settings and its interpreters.
OURS = re.compile(r"UV_\w+|XDG_\w+_HOME")
# A part of uv's message, and the sentence that replaces it.
NO_VERSION = re.compile(r"[Tt]here (?:is|are) no versions? of ([^\s,]+)")
NO_PACKAGE = re.compile(r"([\w.-]+) was not found in the package registry")
NO_WHEEL = re.compile(
    r"([A-Za-z][\w.-]*)(?:\[\S*\])?==(\S+) has no (?:usable wheels|wheels with a matching)"
)
NO_PYTHON = re.compile(r"Python version \(([\d.]+)\) does not satisfy Python([^\s,]+)")
OFFLINE = re.compile(r"error sending request|[Ff]ailed to fetch|dns error|client error|timed out")


def run(*arguments: str, about: str) -> str:
    """Run uv, and return its standard output.

    Args:
        arguments: The command and its options.
        about: The environment that the command is for, for messages.

    Raises:
        UsageError: The requirements cannot be fulfilled; the message has the reason.
        LabError: uv failed for another reason, such as a network that is down.
    """
    done = execute(*arguments, about=about)
    if done.returncode:
        raise problem(done.stderr, about)
    return done.stdout


def execute(*arguments: str, about: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run uv, and return what it printed, also where it failed; see `run`.

    Raises:
        LabError: uv is not installed, or did not end.
    """
    # Without import path: a build of a package would find the lab's modules.
    environment = child_environment.of_download() | {
        name: value for name, value in os.environ.items() if OURS.fullmatch(name)
    }
    environment.pop(child_environment.IMPORT_PATH, None)
    try:
        return subprocess.run(
            [find_uv_bin(), "--no-progress", "--color", "never", *arguments],
            env=environment,
            # Settings of a project in the current folder are for its own environment.
            cwd=Path(__file__).parent,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
    except FileNotFoundError as error:
        raise LabError("uv is not installed. Run: python -m pip install uv") from error
    except subprocess.TimeoutExpired:
        raise LabError(f"uv did not create {about} in {DEADLINE_S:.0f} s. Try again.") from None


def problem(message: str, about: str) -> LabError:
    """Return the error for a message of uv about an environment."""
    text = " ".join(message.split())
    if is_offline(text):
        return LabError(
            f"Environment {about} needs packages that uv could not download: {_first(text)}. Check "
            "the network, or choose environments of `lab env list`."
        )
    if match := NO_PYTHON.search(text):
        return UsageError(
            f"Environment {about} does not exist: its packages need Python {match[2]}, and this is "
            f"{match[1]}. Choose another --python or version."
        )
    if match := NO_PACKAGE.search(text):
        return UsageError(f"Environment {about} does not exist: there is no package {match[1]}.")
    if match := NO_WHEEL.search(text):
        return UsageError(
            f"Environment {about} does not exist: {match[1]} {match[2]} has no wheel for its "
            "interpreter. Choose another --python or version."
        )
    if match := NO_VERSION.search(text):
        name = re.split(r"[\[<>=!~]", match[1])[0]
        return UsageError(
            f"Environment {about} does not exist: there is no release {match[1]}. To list the "
            f"releases: pip index versions {name}"
        )
    return UsageError(
        f"Environment {about} does not exist: {_first(text)}. Choose another version."
    )


def is_offline(message: str) -> bool:
    """Return whether a message of uv says that the package index did not answer."""
    return OFFLINE.search(message) is not None


def _first(text: str) -> str:
    """Return uv's reason without its introduction, as the part of a sentence."""
    reason = text.partition("cause: ")[2] or text.removeprefix("error: ")
    # The conclusion is that of every message: the requirements cannot be fulfilled.
    reason = reason.partition(" hint:")[0].rpartition(", we can conclude")[0] or reason
    return reason.replace(". And because", "; because").rstrip(". ")[:400]
