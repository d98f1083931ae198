"""Runs `lab env`: lists the environments of the user's cache, or removes them."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from lab.console import say, show_table
from lab.core.errors import ExitCode, UnknownNameError
from lab.environments import cache
from lab.report.number_format import plural

ACTIONS = ("list", "prune")
COLUMNS = ("environment", "Python", "requirements", "MiB", "created")


def run(options: argparse.Namespace) -> int:
    """List or remove environments."""
    if options.action not in ACTIONS:
        raise UnknownNameError("action of lab env", options.action, ACTIONS)
    if options.action == "prune":
        removed = cache.prune()
        count = plural(len(removed), "environment")
        say(f"Removed {count}, {sum(removed) / 2**20:.0f} MiB.")
        return ExitCode.FINE
    rows = [
        (
            each.folder.name,
            each.recipe.build.partition(" ")[0],
            ", ".join(each.recipe.requirements) or "no packages",
            f"{each.n_bytes / 2**20:.0f}",
            f"{datetime.fromtimestamp(each.created_s, UTC):%Y-%m-%d %H:%M}",
        )
        for each in cache.environments()
    ]
    show_table(f"Environments in {cache.root()}", COLUMNS, rows)
    return ExitCode.FINE
