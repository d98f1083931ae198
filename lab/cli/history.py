"""Implements `lab history`: exports all runs to asv, and reports the change points."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.console import say
from lab.core import files
from lab.core.errors import ExitCode, LabError, NothingSelectedError, UsageError
from lab.history import change_points, machines, page, run_index
from lab.history.export import export
from lab.report.number_format import plural

PAGES = "asv-html"
# Written by `asv publish`.
REGRESSIONS, LISTED = f"{PAGES}/regressions.json", "regressions"


def run(options: argparse.Namespace) -> int:
    """Rewrite asv's files and pages, and the page of change points.

    Raises:
        NothingSelectedError: No run belongs to a commit of this checkout.
        UsageError: `--machine` names an unknown machine or an invalid name.
        LabError: `asv publish` failed.
    """
    history = run_index.read(options.results, Path.cwd())
    report_refused(history.refused)
    if not history.runs:
        raise NothingSelectedError("No run belongs to a commit. Commit, then run: nox -s bench")
    if options.machine:
        _name(options.results, options.machine, history)
    export(options.results, history)
    # -P: a file `asv.py` in the current folder must not be imported instead of asv.
    command = [sys.executable, "-P", "-m", "asv", "publish"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        # The line with the error; those before it are asv's progress or a traceback.
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise LabError(f"asv publish failed: {last}")
    changes = change_points.find_change_points(history, machines.names(options.results))
    written = page.write(changes, options.results / "history", Path.cwd())
    say(f"History page: {options.results / PAGES / 'index.html'}; to view it: nox -s serve")
    say(f"{change_points.verdict(changes)} Page: {written}")
    if files.is_there(list_of_asv := options.results / REGRESSIONS):
        n_regressions = len(files.read_json(list_of_asv, options.results)[LISTED])
        say(
            f"asv's own pages list {plural(n_regressions, 'regression')}: its fit accepts a level "
            "of one commit and tests nothing, so that the numbers may differ."
        )
    return ExitCode.FINE


def _name(results: Path, wanted: str, history: run_index.History) -> None:
    machine, _, name = wanted.partition("=")
    known = sorted({machines.hash_of(run.facts) for run in history.runs})
    if machine not in known:
        raise UsageError(f"No run of machine {machine!r}. Machines: {', '.join(known)}.")
    machines.give(results, machine, name)


def report_refused(refused: Mapping[str, str]) -> None:
    """Print the runs that are not in the history, each with its reason."""
    for name, reason in refused.items():
        say(f"Not in the history: {name}, because {reason}.")


def add(run_folder: Path, *, report_refusal: bool) -> None:
    """Export after a campaign; print why its run was left out, if it was and the flag is set."""
    results = run_folder.parent.parent
    # The campaign recorded the commit of the lab's code, wherever the command was typed.
    history = run_index.read(results, Path(__file__).parents[2])
    export(results, history)
    if report_refusal:
        report_refused({n: why for n, why in history.refused.items() if n == run_folder.name})
