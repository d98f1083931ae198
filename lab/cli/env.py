"""Runs `lab env`: lists the environments of the user's cache and the engine, or removes them."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

from lab.console import say, show_table
from lab.core.errors import ClusterError, ExitCode, UnknownNameError
from lab.environments import cache
from lab.providers.images import environment_images, superseded
from lab.report.number_format import plural

ACTIONS = ("list", "prune")
COLUMNS = ("environment", "Python", "requirements", "MiB", "created")


def run(options: argparse.Namespace) -> int:
    """List or remove environments.

    Raises:
        ClusterError: Images cannot be removed, because another lab runs.
    """
    if options.action not in ACTIONS:
        raise UnknownNameError("action of lab env", options.action, ACTIONS)
    built: list[environment_images.EnvironmentImage] = []
    names: list[str] = []
    with contextlib.suppress(ClusterError):  # without an engine there are no images
        built, names = environment_images.built(), superseded.of_environments()
    if options.action == "prune":
        removed = cache.prune()
        count = plural(len(removed), "environment")
        say(f"Removed {count}, {sum(removed) / 2**20:.0f} MiB.")
        if names:
            say(f"Removed {plural(superseded.remove(names, 'lab env prune'), 'image')}.")
        return ExitCode.FINE
    folders = [
        _row(
            each.folder.name,
            each.recipe.build.partition(" ")[0],
            each.recipe.requirements,
            each.n_bytes,
            each.created_s,
        )
        for each in cache.environments()
    ]
    title = f"Environments in {cache.root()}" + (", and images" if built else "")
    show_table(title, COLUMNS, [*folders, *(_row(*each) for each in built)])
    return ExitCode.FINE


def _row(
    name: str, python: str, requirements: Sequence[str], n_bytes: int, created_s: float
) -> tuple[str, ...]:
    return (
        name,
        python,
        ", ".join(requirements) or "no packages",
        f"{n_bytes / 2**20:.0f}",
        f"{datetime.fromtimestamp(created_s, UTC):%Y-%m-%d %H:%M}",
    )
