"""Words the command that installs an extra of the lab into the environment of this process."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def install_command(extra: str) -> str:
    """Return the command; it has the path of the lab's checkout unless that is the current folder.

    In a project of the user, `.` is another package.
    """
    place = "." if Path.cwd() == ROOT else str(ROOT)
    return f"python -m pip install -e '{place}[{extra}]'"
