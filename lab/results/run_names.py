"""Finds a run folder by the name that a user types; the same names work in every command.

``latest`` is the newest run, ``latest~1`` the one before it. A single trial that `lab reproduce`
ran again is a run too, but not the latest: it would replace the run that the user works on.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.core import files
from lab.core.errors import UsageError
from lab.results.store import Store, list_runs

LATEST = re.compile(r"latest(?:~([0-9]{1,6}))?")
REFERENCE = "reference"  # the packages of the repository
REPRODUCED = "reproduce"  # preset of a run that is one trial of another run
SHOWN = 3


def find(name: str | Path | None, results: Path, warn: Callable[[str], object]) -> Path:
    """Return the folder of a run, or of a published package.

    Args:
        name: The id of a run in `results`, a folder, ``latest``, or ``latest~N`` for the N-th run
            before it. None: the latest.
        results: The folder that contains ``runs``, ``published`` and ``reference``.
        warn: Receives a sentence for each run that cannot be read.

    Raises:
        UsageError: There is no such run.
    """
    typed = "latest" if name is None else str(name)
    if (folder := find_or_none(typed, results, warn)) is not None:
        return folder
    known = [folder.name for folder in list_runs(results, warn)]
    if not known:
        none = "" if name is None else f"{typed} is not a run folder. "
        raise UsageError(f"{none}There is no run in {results / 'runs'}. To create one: lab bench")
    close = difflib.get_close_matches(typed, known, n=1)
    hint = f"Did you mean {close[0]}? " if close else ""
    raise UsageError(
        f"{typed} is not a run folder. {hint}A run is a folder, its id, latest or latest~1; the "
        f"newest of {len(known)}: {', '.join(known[-SHOWN:])}."
    )


def find_or_none(name: str, results: Path, warn: Callable[[str], object]) -> Path | None:
    """Return the folder of a run as `find` does; None if there is none."""
    for folder in (Path(name), results / "runs" / name, results / "published" / name):
        if files.is_there(folder / "campaign.csv"):
            return folder
    # A page of a package in the repository names its rows by the id of the campaign.
    for folder in sorted((results / REFERENCE).glob("*")):
        if files.is_there(folder / "campaign.csv") and _campaign(folder).campaign_id == name:
            return folder
    if not (match := LATEST.fullmatch(name)):
        return None
    back = int(match[1] or 0)
    # Only here: by its id or folder, a reproduced trial is a run like any other.
    runs = [run for run in list_runs(results, warn) if _campaign(run).preset != REPRODUCED]
    return runs[-1 - back] if back < len(runs) else None


def _campaign(run: Path) -> Any:
    return Store(run).campaign()
