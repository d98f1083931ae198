"""Keeps what a program printed for as long as the files on which it depends are the same."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab.core import files


def recall(file: Path) -> Any:
    """Return the value that `keep` wrote; None without one, or if a file has changed since."""
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        is_same = all(_state(Path(path)) == state for path, state in known["files"].items())
        return known["value"] if is_same else None
    # It is missing or damaged, or one of the others is gone: the program runs again.
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def keep(file: Path, value: Any, depends_on: Iterable[Path]) -> None:
    """Write a JSON value with the states of the files or folders on which it depends.

    A folder that cannot be written, or a full disk, is no error: nothing is kept then.
    """
    with contextlib.suppress(OSError):
        states = {str(path): _state(path) for path in depends_on}
        text = json.dumps({"value": value, "files": states})
        files.replace(file, text.encode(), file.parent)


def _state(path: Path) -> list[int]:
    """Return what changes when a program is replaced, or a package is added to a folder."""
    stat = path.stat()
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns]
