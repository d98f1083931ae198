"""Implements the commands `lab publish` and `lab reproduce`."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.campaign import consent
from lab.campaign.run_folder import PLAN
from lab.cli.options import OPTIONS
from lab.cli.progress import ProgressWatch
from lab.cli.selection import named_function
from lab.console import say, show_table
from lab.core.errors import ExitCode, UsageError
from lab.planning import feasible
from lab.providers import choice
from lab.publishing import package, reproduce
from lab.results.schema import CSV_TABLES, TABLES
from lab.results.store import runs

LOCK = Path(__file__).parents[2] / "requirements" / "bench.txt"


def describe_publish(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lab publish`."""
    parser.add_argument("run", nargs="?", type=Path, help="run folder (default: the latest)")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="default: results/published")
    parser.add_argument(
        "--no-tasks",
        dest="tables",
        action="store_const",
        const=CSV_TABLES,
        default=tuple(TABLES),
        help="leave out the tables with one row per task, and the page (for use in a repository)",
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help=argparse.SUPPRESS)


def publish(options: argparse.Namespace) -> int:
    """Write the data package of a run."""
    run = options.run or next(reversed(runs(options.results, say)), None)
    if run is None or not (run / "campaign.csv").is_file():
        raise UsageError(f"{run or options.results} holds no run to publish. Run: lab bench")
    if not LOCK.is_file():
        raise UsageError("requirements/bench.txt is missing: publish from a checkout of the lab.")
    target = options.to or options.results / "published" / run.name
    files = package.write(run, target, LOCK, options.tables)
    size_mb = sum(file.stat().st_size for file in files) / 1e6
    say(f"{target}: {len(files)} files, {size_mb:.1f} MB, ready to upload. Check its README.md.")
    return ExitCode.FINE


def describe_reproduce(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lab reproduce`."""
    parser.add_argument(
        "row", metavar="RUN/TRIAL_ID", help="a row of a run's or package's trial.csv"
    )
    for name in ("--task", "--args"):
        parser.add_argument(name, **OPTIONS["selection"][name])
    parser.add_argument("--results", type=Path, default=Path("results"), help=argparse.SUPPRESS)


def run_again(options: argparse.Namespace) -> int:
    """List the differences, rerun the row's trial, and print its metrics beside the old ones."""
    run, spec = reproduce.find(options.row, options.results)
    again = f"lab reproduce {options.row}"
    consent.check(run, [spec.workload], named_function(options), again)
    feasible.require_in_range(run / PLAN, [spec])
    differing = reproduce.differences(run)
    say("\n".join(["Differences:", *differing]) if differing else "Machine and software match.")
    choice.prepare({spec.provider}, say)
    try:
        with ProgressWatch() as watch:
            store = reproduce.again(spec, options.results, watch, f"reproduce {run.name}/{spec.id}")
    except KeyboardInterrupt:
        say(f"Interrupted before the trial ended. To rerun it: lab reproduce {options.row}")
        raise
    then, now = (package.numbers_of(folder, spec.id) for folder in (run, store.folder))
    both = then.merge(now, on="metric", suffixes=("_then", "_now"))
    rows = [
        (str(row.metric), _number(row.value_then), _number(row.value_now), str(row.unit_then))
        for row in both.itertuples()
    ]
    show_table(f"{spec.label}, then and now", ("metric", "then", "now", "unit"), rows)
    say(f"Run folder: {store.folder}")
    is_ok = bool((store.read("trial").status == "ok").all())
    return ExitCode.FINE if is_ok else ExitCode.TRIAL_FAILED


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "refused"
