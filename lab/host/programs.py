"""Runs a program of the lab to its end."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.core.errors import LabError
from lab.host import child_environment, processes


def output_of(
    command: Sequence[str],
    deadline_s: float,
    *,
    name: str = "",
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run a program with the variables of the allow-list; return its standard output.

    Args:
        command: The program and its arguments.
        deadline_s: Seconds in which it must end.
        name: What the messages call it; by default the file name of the program.
        variables: Further variables.

    Raises:
        LabError: The program cannot be started, failed, or did not end in time.
    """
    file_name = Path(command[0]).name
    name = name or file_name
    try:
        done = subprocess.run(
            command,
            env=child_environment.of_process() | dict(variables or {}),
            capture_output=True,
            text=True,
            # A damaged program may print any bytes: its failure must be a sentence, not a defect.
            errors="replace",
            check=False,
            timeout=deadline_s,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{name} did not end in {deadline_s:.0f} s.") from None
    except OSError as error:
        raise LabError(f"{file_name} cannot be started: {error.strerror}.") from error
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2] or "it printed nothing"
        raise LabError(f"{name} {processes.ending(done.returncode)}: {last}")
    return done.stdout
