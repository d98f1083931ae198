"""Writes the commands of a cluster's processes as text for the trial's row."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.core.backend import Backend
from lab.core.model import BackendContext, Command

SEPARATOR = "; "


def command_lines(backend: type[Backend], context: BackendContext) -> str:
    """Return the commands of one node, and of the scheduler in a trial with jobs.

    Without folders, because a published row must not contain paths of a machine: a program is
    named, and its folder depends on the installation. Adapters put no password into a command.
    """
    return SEPARATOR.join(shlex.join(map(_word, c.argv)) for c in _commands(backend, context))


def _commands(backend: type[Backend], context: BackendContext) -> Iterator[Command]:
    yield from backend.preparation(context)
    yield from backend.node_commands(context)
    if context.jobs:
        yield from backend.scheduler_commands(context)


def _word(word: str) -> str:
    if word == sys.executable:
        return "python"
    path = Path(word)
    return path.name if path.is_absolute() else word
