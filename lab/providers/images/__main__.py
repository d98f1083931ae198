"""Pulls or builds all images and prints a table of them: ``nox -s images``; ``--lock`` pins them.

Options follow ``--``: ``nox -s images -- --lock``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from rich.table import Table

from lab.console import Terminal
from lab.core.errors import ExitCode, LabError
from lab.providers.images import build, official


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the images, with a line of progress for each step; return the exit code."""
    description = "Pull or build all images."
    parser = argparse.ArgumentParser(prog="nox -s images --", description=description)
    parser.add_argument(
        "--lock", action="store_true", help="first pin the official images to their present digests"
    )
    options = parser.parse_args(arguments)
    # Progress goes to standard error, so that standard output is only the table.
    console = Terminal(stderr=True, highlight=False, soft_wrap=True)
    begun = time.monotonic()

    def show_step(step: str) -> None:
        console.print(f"{time.monotonic() - begun:6.1f} s  {step}", markup=False)

    try:
        if options.lock:
            official.lock(show_step)
        images = build(show_step)
    except LabError as error:
        console.print(f"lab: {error}", markup=False)
        return error.exit_code
    table = Table("image of", "name", "origin", "pinned", "id")
    for part, image in images.items():
        table.add_row(
            part,
            image.name,
            image.origin,
            _pinned(image.name),
            image.id.removeprefix("sha256:")[:12],
        )
    Terminal().print(table)
    return ExitCode.FINE


def _pinned(name: str) -> str:
    return "yes" if official.is_pinned(name) else "no: nox -s images -- --lock"


if __name__ == "__main__":
    sys.exit(main())
