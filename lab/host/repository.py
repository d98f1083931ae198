"""Asks git about a checkout; where git cannot say, a campaign runs without a commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.core.errors import LabError
from lab.host import child_environment

PATIENCE_S = 60.0


def git(folder: Path, *words: str) -> str:
    """Run a git command in `folder` and return what it printed.

    Its environment is the list of `lab.host.child_environment`: variables that a git hook sets
    would lead to the hook's repository.

    Raises:
        LabError: git is missing, refuses, or does not end; the message has its last line.
    """
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    try:
        done = subprocess.run(
            command,
            env=child_environment.of_process(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PATIENCE_S,
        )
    except FileNotFoundError:
        raise LabError("git is not installed. Run: sudo apt install git") from None
    except OSError as error:
        raise LabError(f"git cannot be started: {error.strerror}.") from error
    except subprocess.TimeoutExpired:
        raise LabError(f"git {words[0]} did not end in {PATIENCE_S:.0f} s.") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.startswith("fatal:")]
        last = lines[0] if lines else done.stderr.strip().rpartition("\n")[2]
        raise LabError(f"git {words[0]}: {last or f'code {done.returncode}'}")
    return done.stdout.strip()


def git_or_none(folder: Path, *words: str) -> str | None:
    """Return what a git command printed; None where git cannot say."""
    try:
        return git(folder, *words)
    except LabError:
        return None
