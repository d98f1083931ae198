"""Runs git commands on a checkout; a campaign also runs without git."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from lab.core.errors import LabError
from lab.host import child_environment

PATIENCE_S = 60.0
# The address of a repository on a forge. Credentials in it are matched but not captured, because
# the pages that contain it may be published.
FORGE = re.compile(r"(?:https://(?:[^@/]*@)?|git@|ssh://git@)([\w.-]+)[:/]([\w./-]+?)(?:\.git)?/?")


def git(folder: Path, *arguments: str) -> str:
    """Run a git command in `folder`, and return its standard output.

    Its environment is that of `lab.host.child_environment`: variables that a git hook sets would
    select the hook's repository.

    Raises:
        LabError: git is missing, fails, or does not end; the message has its error.
    """
    # Without the option, `git status` locks the index, and the user's own git could fail.
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
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
        raise LabError(f"git {arguments[0]} did not end in {PATIENCE_S:.0f} s.") from None
    if done.returncode:
        # Hints may follow the reason, so the last line is only the second choice.
        lines = [line.strip() for line in done.stderr.splitlines() if line.startswith("fatal:")]
        last = lines[0] if lines else done.stderr.strip().rpartition("\n")[2]
        raise LabError(f"git {arguments[0]}: {last or f'code {done.returncode}'}")
    return done.stdout.strip()


def git_or_none(folder: Path, *arguments: str) -> str | None:
    """Return the standard output of a git command; None if it fails."""
    try:
        return git(folder, *arguments)
    except LabError:
        return None


def web_address(folder: Path) -> str:
    """Return the address of a checkout's pages if its origin is a forge, else empty."""
    origin = FORGE.fullmatch(git_or_none(folder, "remote", "get-url", "origin") or "")
    return f"https://{origin[1]}/{origin[2]}" if origin else ""
