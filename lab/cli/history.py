"""`lab history`: all runs as results of commits, asv's pages of them, and what became slower."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.console import say
from lab.core.errors import ExitCode, LabError, NothingSelectedError, UsageError
from lab.history import change_points, machines, page, run_index
from lab.history.export import export

PAGES = "asv-html"
EPILOG = """\
results/asv             asv's files, one a machine, commit and provider; made anew from the runs
results/asv-html        asv's pages; `nox -s serve` shows them
results/history         steps.html: what moved, the largest first; changepoint.csv: the same as data

Two detectors look at each curve. Where both see a step it is an alarm, where one does a watch; an
alarm needs 30 commits. A machine is called by a hash of its hardware; give it a name by
`lab history --machine machine-1a2b3c4d=labbox`.
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add what can be said on the command line."""
    parser.epilog = EPILOG
    parser.add_argument("--machine", metavar="HASH=NAME", help="call a machine by a name")
    parser.add_argument("--results", type=Path, default=Path("results"), help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Write asv's files and pages anew, and the page of steps.

    Raises:
        NothingSelectedError: No run belongs to a commit of this checkout.
        LabError: asv could not make its pages.
    """
    history = run_index.read(options.results, Path.cwd())
    tell(history.refused)
    if not history.runs:
        raise NothingSelectedError("No run can stand for a commit. Commit, then: nox -s bench")
    if options.machine:
        _name(options.results, options.machine, history)
    export(options.results, history)
    command = [sys.executable, "-P", "-m", "asv", "publish"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise LabError(f"asv could not make its pages: {last}")
    found = change_points.find(history, machines.names(options.results))
    written = page.write(found, options.results / "history", Path.cwd())
    say(f"History page: {options.results / PAGES / 'index.html'}; to look at it: nox -s serve")
    say(f"{change_points.verdict(found)} The page: {written}")
    return ExitCode.FINE


def _name(results: Path, wanted: str, history: run_index.History) -> None:
    machine, _, name = wanted.partition("=")
    known = sorted({machines.hash_of(run.facts) for run in history.runs})
    if machine not in known:
        raise UsageError(f"No run was measured on {machine!r}. Known: {', '.join(known)}.")
    machines.give(results, machine, name)


def tell(refused: Mapping[str, str]) -> None:
    """Say which runs are not in the history, and why."""
    for name, reason in refused.items():
        say(f"Not in the history: {name}, because {reason}.")


def add(run_folder: Path, *, is_told: bool) -> None:
    """Export after a campaign, and say of its run why it was left out, if it was."""
    results = run_folder.parent.parent
    history = run_index.read(results, Path(__file__).parents[2])
    export(results, history)
    if is_told:
        tell({n: why for n, why in history.refused.items() if n == run_folder.name})
