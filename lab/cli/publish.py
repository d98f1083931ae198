"""Runs `lab publish`: writes a run as a data package."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.console import say
from lab.core.errors import ExitCode, UsageError
from lab.publishing import package
from lab.results import run_names

LOCK = Path(__file__).parents[2] / "requirements" / "bench.txt"


def run(options: argparse.Namespace) -> int:
    """Write a run as a data package into a new folder."""
    folder = run_names.find(options.run, options.results, say)
    # A package contains the lock file, from which others install the same software (METHOD M33).
    if not LOCK.is_file():
        raise UsageError(
            "requirements/bench.txt is missing: run lab publish in a checkout of the lab."
        )
    target = options.to or options.results / "published" / folder.name
    files = package.write(folder, target, LOCK, options.tables)
    size_mb = sum(file.stat().st_size for file in files) / 1e6
    say(f"{target}: {len(files)} files, {size_mb:.1f} MB, ready to upload. Check its README.md.")
    return ExitCode.FINE
