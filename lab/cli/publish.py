"""Runs `lab publish`: writes a run as a data package, or its estimates for a dashboard."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lab.console import say
from lab.core.errors import ExitCode, UnknownNameError, UsageError
from lab.publishing import bencher, package
from lab.report.run_tables import RunTables
from lab.results import run_names

PACKAGE, BENCHER = FORMATS = ("package", "bmf")
LOCK = Path(__file__).parents[2] / "requirements" / "bench.txt"
LOCK_OF_PACKAGE = "lock.txt"


def run(options: argparse.Namespace) -> int:
    """Write a run as a data package into a new folder, or its estimates to standard output.

    Raises:
        UsageError: The format is unknown, or there is no such run.
    """
    if options.format not in FORMATS:
        raise UnknownNameError("format", options.format, FORMATS)
    folder = run_names.find(options.run, options.results, say)
    if options.format == BENCHER:
        if options.to:
            raise UsageError(f"--format {BENCHER} writes to standard output: replace --to by >.")
        sys.stdout.write(f"{bencher.text(RunTables(folder))}\n")
        return ExitCode.FINE
    # A package contains the lock file, from which others install the same software (METHOD M33).
    published = folder / LOCK_OF_PACKAGE
    lock = published if published.is_file() else LOCK
    if not lock.is_file():
        raise UsageError(
            "requirements/bench.txt is missing: run lab publish in a checkout of the lab."
        )
    target = options.to or options.results / "published" / folder.name
    files = package.write(folder, target, lock, options.tables)
    size_mb = sum(file.stat().st_size for file in files) / 1e6
    say(f"{target}: {len(files)} files, {size_mb:.1f} MB, ready to upload. Check its README.md.")
    return ExitCode.FINE
