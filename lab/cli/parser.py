"""Defines the command line of `lab`: each command with its arguments.

It imports nothing that measures or analyses, so that `lab --help` and shell completion are fast.
The module ``lab.cli.COMMAND`` runs a command: it is imported for that, or to print the help of the
command, and has a function `run` and optionally an `EPILOG` with examples.
"""

from __future__ import annotations

import argparse
import importlib
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from lab.cli.options import OPTIONS
from lab.core.errors import EXIT_CODES
from lab.planning import ranges
from lab.results.schema import CSV_TABLES, TABLES

HELP_WIDTH = 100
RESULTS = Path("results")

AddArguments = Callable[[argparse.ArgumentParser], None]


def module_of(command: str) -> ModuleType:
    """Import the module that runs a command."""
    return importlib.import_module(f"lab.cli.{command}")


class _CommandParser(argparse.ArgumentParser):
    """Parses the arguments of one command, and appends its examples and exit codes to its help."""

    def format_help(self) -> str:
        """Return the help text."""
        epilog = getattr(module_of(self.prog.rpartition(" ")[2]), "EPILOG", "")
        self.epilog = f"{epilog}\n{textwrap.fill(EXIT_CODES, HELP_WIDTH)}"
        return super().format_help()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; the chosen command is its result's `command`."""
    root = argparse.ArgumentParser(
        prog="lab",
        description="Compare Python systems that run tasks in the background, under the same load.",
        epilog=f"{EXAMPLES}\n{textwrap.fill(EXIT_CODES, HELP_WIDTH)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = root.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=_CommandParser
    )
    for name, (summary, add_arguments) in COMMANDS.items():
        add_arguments(
            commands.add_parser(
                name,
                help=summary,
                description=summary,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    return root


def _nothing(_: argparse.ArgumentParser) -> None:
    """Add no argument."""


def _bench(command: argparse.ArgumentParser) -> None:
    for title, options in OPTIONS.items():
        group = command.add_argument_group(title)
        for names, facts in options.items():
            kind, text = facts.get("type"), facts["help"]
            if isinstance(kind, ranges.NUMBERS):
                text = f"{text}; {kind}"
            group.add_argument(*names.split(), **{**facts, "help": text})


def add_claims(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `lab claims`."""
    command.add_argument(
        "--backend",
        "-b",
        action="append",
        metavar="NAME",
        help="backend whose claims are tested; repeatable (default: all)",
    )
    command.add_argument(
        "--claim",
        "-c",
        action="append",
        metavar="NAME",
        help="claim to test; repeatable (default: all)",
    )
    command.add_argument(
        "--seed",
        type=ranges.SEED,
        metavar="N",
        help=f"seed of the trial order and of the task arguments; {ranges.SEED}",
    )
    command.add_argument("--dry-run", action="store_true", help="print the plan and run nothing")
    command.add_argument("--resume", type=Path, metavar="RUN", help="continue this run folder")
    command.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        metavar="FOLDER",
        help="folder that holds runs/ (default: results)",
    )


def _report(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", nargs="?", type=Path, help="run folder (default: the latest)")


def _compare(command: argparse.ArgumentParser) -> None:
    command.add_argument("sides", nargs="*", metavar="A B", help="run folder, commit, or backend")
    command.add_argument(
        "--null",
        nargs="?",
        const="",
        metavar="RUN",
        help="A/A test: compare a run with itself (default: the latest)",
    )
    command.add_argument(
        "--pairs",
        type=ranges.PAIRS,
        metavar="N",
        help="first measure commits A and B in N pairs of interleaved blocks (METHOD M30: 15); "
        f"{ranges.PAIRS}",
    )
    command.add_argument(
        "--bench", default="", metavar="OPTIONS", help="options of lab bench for --pairs"
    )
    command.add_argument("--run", type=Path, metavar="RUN", help="run that contains the backends")
    command.add_argument(
        "--metric",
        action="append",
        metavar="NAME",
        help="metric to compare; repeat for more (default: the headline metrics below)",
    )
    command.add_argument(
        "--threshold",
        type=ranges.THRESHOLD_PERCENT,
        default=5.0,
        metavar="PERCENT",
        help="how much worse a metric may be before the exit code is 4 (default: 5); "
        f"{ranges.THRESHOLD_PERCENT}",
    )
    command.add_argument(
        "--format", default="table", metavar="FORMAT", help="table, markdown or json"
    )
    command.add_argument(
        "--other-machine",
        action="store_true",
        help="compare although machine or software differ",
    )
    _add_results(command)


def _history(command: argparse.ArgumentParser) -> None:
    command.add_argument("--machine", metavar="HASH=NAME", help="name of a machine in the pages")
    _add_results(command)


def _publish(command: argparse.ArgumentParser) -> None:
    _report(command)
    command.add_argument("--to", type=Path, metavar="FOLDER", help="default: results/published")
    command.add_argument(
        "--no-tasks",
        dest="tables",
        action="store_const",
        const=CSV_TABLES,
        default=tuple(TABLES),
        help="leave out the page and the tables with one row per task: small enough for a "
        "repository",
    )
    _add_results(command)


def _reproduce(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "row", metavar="RUN/TRIAL_ID", help="a row of the trial.csv of a run or package"
    )
    for name in ("--task", "--args"):
        command.add_argument(name, **OPTIONS["selection"][name])
    _add_results(command)


def _add_results(command: argparse.ArgumentParser) -> None:
    command.add_argument("--results", type=Path, default=RESULTS, help=argparse.SUPPRESS)


COMMANDS: dict[str, tuple[str, AddArguments]] = {
    "bench": ("Run a campaign and write its report.", _bench),
    "claims": ("Test published claims about the backends.", add_claims),
    "list": ("List backends, variants, profiles, workloads, presets.", _nothing),
    "report": ("Recompute a run's tables, figures and page.", _report),
    "compare": ("Compare two runs, commits or backends.", _compare),
    "history": ("Show results over commits, and their changes.", _history),
    "publish": ("Export a run as a folder to upload.", _publish),
    "reproduce": ("Repeat one trial of a run.", _reproduce),
    "doctor": ("Show what is missing on this machine, and how to fix it.", _nothing),
    "clean": ("Remove processes and containers of labs that were killed.", _nothing),
}
EXAMPLES = """\
examples:
  lab bench                                      every installed backend, preset quick
  lab bench --backend 'celery[threads]@safe' --backend rq --workload noop
  lab bench --workload cpu:2000 --cores 1,2      CPU tasks of 2000 us on one core and on two
  lab bench --workload latency -b celery -b rq   sustainable rates, and queue latency at each load
  lab bench --preset standard --dry-run          show the plan and its estimated duration
  lab bench --resume results/runs/RUN            continue a stopped run

A backend is named backend[variant]@profile; `lab list` shows all of them. The defaults are the
backend's first variant and its profile `default`.
"""
