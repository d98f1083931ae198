"""Words the commands that measure what a comparison lacks: a side, or blocks."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from lab.analysis.attempts import last_attempts
from lab.analysis.statistics import INTERVAL_FLOOR
from lab.comparison.left_out import states_of
from lab.core.errors import UsageError
from lab.core.model import COUNTED_FLAGS
from lab.planning import registry
from lab.planning.commands import with_function
from lab.results.store import Store


def short_names(label: str) -> tuple[str, str]:
    """Return a label without its profile, and without its variant as well."""
    return label.partition("@")[0], label.partition("[")[0]


def named(name: str, labels: Iterable[str]) -> list[str]:
    """Return the labels that a name selects, which may leave out the profile and the variant."""
    return [label for label in sorted(set(labels)) if name in {label, *short_names(label)}]


def one_run(both: Sequence[str], workloads: Iterable[str], runs: Sequence[Path]) -> str:
    """Return the command that measures both sides in one run, and the newest run that has both.

    Args:
        both: The names of the sides; one that is no backend becomes OTHER.
        workloads: Those of the run that lacks a side; the command names the user's function.
        runs: The folders of all runs, the oldest first.
    """
    names = [shlex.quote(name) if is_backend(name) else "OTHER" for name in both]
    command = " ".join(["lab bench", *(f"-b {name}" for name in names)])
    again = f"Measure both sides in one run: {with_function(command, workloads)}"
    return f"{again}{_measured_before(both, runs)}"


def is_backend(name: str) -> bool:
    """Return whether the lab has a backend of this name."""
    try:
        registry.select(name)
    except UsageError:
        return False
    return True


def _measured_before(both: Sequence[str], runs: Sequence[Path]) -> str:
    """Return a sentence with the newest run that has numbers of both sides; empty if none has."""
    for folder in reversed(runs):
        states = states_of(last_attempts(Store(folder).read("trial")))
        labels = set(states[states.isin(COUNTED_FLAGS)].index)
        if all(named(name, labels) for name in both):
            names = shlex.join(both)
            return f"\n{folder.name} has both: lab compare {names} --run {folder.name}"
    return ""


def command_of(store: Store) -> str:
    """Return the command that made the plan of a run, or nothing if it cannot be given again."""
    command = str(store.campaign().command)
    is_whole = command.startswith("bench ") and "--like" not in command
    # The path of a checkout is not stored.
    return f"lab {command}" if is_whole and "CHECKOUT" not in command else ""


def more_blocks(commands: Iterable[str]) -> str:
    """Return the commands of the sides with enough blocks for an interval; empty if unknown."""
    known = filter(None, dict.fromkeys(commands))
    # The last of two options of one name counts.
    return " and ".join(f"{command} --blocks {INTERVAL_FLOOR}" for command in known)
