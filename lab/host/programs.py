"""Runs a program of the lab to its end."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.core.errors import LabError
from lab.host import child_environment


def output_of(command: Sequence[str], deadline_s: float) -> str:
    """Run a program with the variables of the allow-list; return its standard output.

    Raises:
        LabError: The program cannot be started, failed, or did not end in `deadline_s` seconds.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            env=child_environment.of_process(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=deadline_s,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{name} did not end in {deadline_s:.0f} s.") from None
    except OSError as error:
        raise LabError(f"{name} cannot be started: {error.strerror}.") from error
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2] or "it printed nothing"
        raise LabError(f"{name} ended with code {done.returncode}: {last}")
    return done.stdout
