"""`lab history`: all runs as results of commits, and asv's pages of them."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.console import say
from lab.errors import LabError, NothingSelectedError
from lab.history.export import export

PAGES = "asv-html"


def describe(parser: argparse.ArgumentParser) -> None:
    """Add what can be said on the command line."""
    parser.add_argument("--results", type=Path, default=Path("results"), help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Write asv's files and pages anew.

    Raises:
        NothingSelectedError: No run belongs to a commit of this checkout.
        LabError: asv could not make its pages.
    """
    exported = export(options.results, Path.cwd())
    tell(exported.refused)
    if not exported.files:
        raise NothingSelectedError("No run can stand for a commit. Commit, then: nox -s bench")
    command = [sys.executable, "-m", "asv", "publish"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise LabError(f"asv could not make its pages: {last}")
    say(f"History page: {options.results / PAGES / 'index.html'}; to look at it: nox -s serve")
    return 0


def tell(refused: Mapping[str, str]) -> None:
    """Say which runs are not in the history, and why."""
    for name, reason in refused.items():
        say(f"Not in the history: {name}, because {reason}.")


def add(run_folder: Path, *, is_told: bool) -> None:
    """Export after a campaign, and say of its run why it was left out, if it was."""
    exported = export(run_folder.parent.parent, Path(__file__).parents[2])
    if is_told:
        tell({n: why for n, why in exported.refused.items() if n == run_folder.name})
