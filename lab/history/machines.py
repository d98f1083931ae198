"""Names machines in the history: by a hash of the hardware, or by a name that the user sets."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from lab.core import files
from lab.core.errors import ResultsError, UsageError

# The facts that identify a machine. The commit's lock file fixes the software.
HARDWARE = ("cpu.model", "cpu.cores", "cpu.threads", "cpu.usable", "memory.ram", "kernel.machine")
NAMES = "machines.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def hash_of(facts: Mapping[str, str]) -> str:
    """Name a machine by a hash of its hardware, never by its host name."""
    hardware = [(key, facts.get(key, "")) for key in HARDWARE]
    return f"machine-{hashlib.sha256(json.dumps(hardware).encode()).hexdigest()[:8]}"


def names(results: Path) -> dict[str, str]:
    """Return the names that users have set, by hash.

    Raises:
        ResultsError: The file that holds them is damaged.
    """
    file = results / NAMES
    try:
        known = files.read_json(file, results) if files.is_there(file) else {}
        are_names = all(NAME.fullmatch(name) for name in known.values())
    except (OSError, ResultsError, ValueError, AttributeError, TypeError):
        are_names = False
    if not are_names:
        raise ResultsError(f"{file} is damaged. Delete it and set the names again.")
    return dict(known)


def give(results: Path, machine: str, name: str) -> None:
    """Set the name of a machine, for past and future runs.

    Raises:
        UsageError: The name is malformed, names another machine, or is this machine's host name.
        ResultsError: The file of names is damaged, or cannot be written.
    """
    known = names(results)
    if not NAME.fullmatch(name):
        rule = "1 to 40 letters, digits, '.', '_' and '-', the first a letter or digit"
        raise UsageError(f"{name!r} is not a valid machine name: use {rule}.")
    # The pages may be published, and no fact is a host name (METHOD M33).
    if name.casefold() == platform.node().partition(".")[0].casefold():
        raise UsageError(f"{name!r} is this host's name, which is private. Choose another name.")
    # asv would join the results of both machines to one series.
    if any(name == taken and machine != other for other, taken in known.items()):
        raise UsageError(f"{name!r} is the name of another machine. Choose another name.")
    content = json.dumps(known | {machine: name}, indent=1)
    files.put(results / NAMES, f"{content}\n".encode(), results)
