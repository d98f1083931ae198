"""What a machine is called in the history: a hash of its hardware, or the name it was given."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from lab.core import files
from lab.core.errors import ResultsError, UsageError

# What a machine is. Its software is the commit's, whose lock says the versions.
HARDWARE = ("cpu.model", "cpu.cores", "cpu.threads", "cpu.usable", "memory.ram", "kernel.machine")
NAMES = "machines.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def hash_of(facts: Mapping[str, str]) -> str:
    """Name a machine by a hash of its hardware, never by its host name."""
    hardware = [(key, facts.get(key, "")) for key in HARDWARE]
    return f"machine-{hashlib.sha256(json.dumps(hardware).encode()).hexdigest()[:8]}"


def names(results: Path) -> dict[str, str]:
    """Return the given names, by hash.

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
        raise ResultsError(f"{file} is damaged. Delete it, and name the machines again.")
    return dict(known)


def give(results: Path, machine: str, name: str) -> None:
    """Call a machine by a name from now on, in all of its history.

    Raises:
        UsageError: The name is none, is taken, or is this machine's host name.
        ResultsError: The file that holds them is damaged, or cannot be written.
    """
    known = names(results)
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name: up to 40 letters, digits, dots, dashes, please.")
    if name.casefold() == platform.node().partition(".")[0].casefold():
        raise UsageError(f"{name!r} is this host's name, which is nobody's business. Take another.")
    if any(name == taken and machine != other for other, taken in known.items()):
        raise UsageError(f"{name!r} is the name of another machine. Take another.")
    content = json.dumps(known | {machine: name}, indent=1)
    files.put(results / NAMES, f"{content}\n".encode(), results)
