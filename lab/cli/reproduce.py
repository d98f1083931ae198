"""Runs `lab reproduce`: measures one row of a run again, and prints both results."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lab.analysis.attempts import last_attempts
from lab.campaign import consent, feasible
from lab.campaign.run_folder import PLAN
from lab.cli.progress import ProgressWatch
from lab.cli.selection import named_function
from lab.console import say, show_table
from lab.core.errors import ExitCode
from lab.core.model import COUNTED_FLAGS, Status
from lab.planning.commands import with_function
from lab.providers import choice
from lab.publishing import package, reproduce
from lab.report.flag_reasons import in_words
from lab.results.store import Store


def run(options: argparse.Namespace) -> int:
    """List the differences, rerun the row's trial, and print its metrics beside the old ones."""
    published, spec = reproduce.find_row(options.row, options.results)
    again = f"lab reproduce {options.row}"
    # A package may come from another person: it starts no function just by the function's name,
    # and its numbers have the limits of options.
    consent.check(published, [spec.workload], named_function(options), again)
    feasible.require_in_range(published / PLAN, [spec])
    differing = reproduce.differences(published)
    say("\n".join(["Differences:", *differing]) if differing else "Machine and software match.")
    choice.prepare([spec], say)
    choice.prepare_environments([spec], say)
    try:
        with ProgressWatch() as watch:
            store = reproduce.again(
                spec, options.results, watch, f"reproduce {published.name}/{spec.id}"
            )
    except KeyboardInterrupt:
        rerun = with_function(again, [spec.workload])
        say(f"Interrupted before the trial ended. To rerun it: {rerun}")
        raise
    then, now = (package.numbers_of(folder, spec.id) for folder in (published, store.folder))
    both = then.merge(now, on="metric", suffixes=("_then", "_now"))
    rows = [
        (str(row.metric), _number(row.value_then), _number(row.value_now), str(row.unit_then))
        for row in both.itertuples()
    ]
    show_table(f"{spec.label}, then and now", ("metric", "then", "now", "unit"), rows)
    for when, row in (("then", _last(published, spec.id)), ("now", _last(store.folder, spec.id))):
        if row.status == Status.OK and row.flag not in COUNTED_FLAGS:
            say(f"The trial was {row.flag} {when}: {in_words(row.flag_reasons)}")
    say(f"Run folder: {store.folder}")
    is_ok = bool((store.read("trial").status == "ok").all())
    return ExitCode.FINE if is_ok else ExitCode.TRIAL_FAILED


def _last(folder: Path, trial_id: str) -> Any:
    trials = last_attempts(Store(folder).read("trial"))
    return trials[trials["trial_id"] == trial_id].iloc[0]


def _number(value: object) -> str:
    # A metric without a value was refused, such as a percentile of too few tasks (METHOD M11).
    return f"{value:.4g}" if isinstance(value, float) else "refused"
