"""Adds the arguments of each command to its parser."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path

from lab.cli.options import OPTIONS
from lab.planning import ranges
from lab.planning.presets import EXPERIMENTS, OFFERED, PRESETS
from lab.providers import PROVIDERS
from lab.results.schema import CSV_TABLES, OF_FAULTS, TABLES

RESULTS = Path("results")


def add(command: str, parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a command, if it has any."""
    if command in ADD:
        ADD[command](parser)


def _bench(command: argparse.ArgumentParser, without: Container[str] = ()) -> None:
    for title, options in OPTIONS.items():
        group = command.add_argument_group(title)
        for names, facts in options.items():
            if names in without:
                continue
            kind, text = facts.get("type"), facts["help"]
            # The text comes from the table that checks the value, so help and check agree.
            if isinstance(kind, ranges.NUMBERS):
                text = f"{text}; {kind}"
            action = group.add_argument(*names.split(), **{**facts, "help": text})
            if action.dest in VALUES:
                _complete(action, VALUES[action.dest])


def _complete(action: argparse.Action, values: Callable[[], Iterable[str]]) -> None:
    """Let a shell complete the value of an option; argcomplete reads the attribute `completer`."""
    # An assignment would be a type error: the class has no such attribute.
    vars(action)["completer"] = lambda **_: values()


def _labels() -> Iterator[str]:
    from lab.planning import registry  # imports every adapter, which the help does not need

    yield registry.ALL
    for name, backend in registry.backends().items():
        yield name
        yield from (f"{name}[{variant.name}]" for variant in backend.variants)


def _workloads() -> Iterator[str]:
    from lab.planning import registry

    yield from (*registry.workload_names(), *EXPERIMENTS)


# `lab versions` chooses the first two itself, and runs a new plan.
NOT_OF_VERSIONS = ("--with", "--no-references", "--like", "--resume", "--turns", "--tables-only")
# The names that the options of `lab bench` take.
VALUES: dict[str, Callable[[], Iterable[str]]] = {
    "arrival": lambda: OFFERED,
    "backend": _labels,
    "preset": lambda: PRESETS,
    "provider": lambda: PROVIDERS,
    "workload": _workloads,
}


def _claims(command: argparse.ArgumentParser) -> None:
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
    # Any number, because `--null` needs none; `compare.run` counts them.
    command.add_argument(
        "sides",
        nargs="*",
        metavar="A B",
        help="the baseline, and what is judged: each a run, a commit or a backend",
    )
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
    command.add_argument(
        "--run", type=Path, metavar="RUN", help="run that contains the backends or environments"
    )
    command.add_argument(
        "--by",
        metavar="COLUMN",
        help="compare the trials of one run by their environment: each with the first, in the "
        "order of versions, or two that A and B name; write: --by environment",
    )
    command.add_argument(
        "--metric",
        action="append",
        metavar="NAME",
        help="metric to compare; repeat for more (default: the headline metrics below)",
    )
    command.add_argument(
        "--threshold",
        # With a threshold of nan, no metric would be worse. The default is that of METHOD M30.
        type=ranges.THRESHOLD_PERCENT,
        default=5.0,
        metavar="PERCENT",
        help="how much worse a metric may be before the exit code is 4 (default: 5); "
        f"{ranges.THRESHOLD_PERCENT}",
    )
    # Not `choices`, whose error suggests no similar name; `compare.run` checks the value.
    command.add_argument(
        "--format", default="table", metavar="FORMAT", help="table, markdown or json"
    )
    command.add_argument(
        "--other-machine",
        action="store_true",
        help="compare although machine or software differ",
    )
    _add_results(command)


def _versions(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("releases")
    group.add_argument(
        "--last",
        type=ranges.RELEASES,
        metavar="N",
        help="the newest release of each of the last N minor series, without pre-releases and "
        f"withdrawn ones (default: 6, or none with --release); {ranges.RELEASES}",
    )
    group.add_argument(
        "--range",
        default="",
        metavar="SPECIFIER",
        help="only releases in this range, such as '>=5.3,<5.7'",
    )
    group.add_argument(
        "--release",
        action="append",
        default=[],
        metavar="VERSION",
        help="measure this release; repeat for more (default: none)",
    )
    _bench(command, without=NOT_OF_VERSIONS)


def _history(command: argparse.ArgumentParser) -> None:
    command.add_argument("--machine", metavar="HASH=NAME", help="name of a machine in the pages")
    _add_results(command)


def _publish(command: argparse.ArgumentParser) -> None:
    _report(command)
    command.add_argument("--to", type=Path, metavar="FOLDER", help="default: results/published")
    # Not `choices`, whose error suggests no similar name; `publish.run` checks the value.
    command.add_argument(
        "--format",
        default="package",
        metavar="FORMAT",
        help="package: a data package in a new folder; bmf: the estimates in the Bencher Metric "
        "Format, on standard output (default: package)",
    )
    command.add_argument(
        "--no-tasks",
        dest="tables",
        action="store_const",
        const=(*CSV_TABLES, *OF_FAULTS),
        default=tuple(TABLES),
        help="leave out the tables with one row per task, except for outcomes of faults: small "
        "enough for a repository",
    )
    _add_results(command)


def _list(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "filters",
        nargs="*",
        metavar="WORD",
        help="backends, workloads, experiments or presets; any other word selects the rows that "
        "contain it (default: all)",
    )


def _doctor(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "names",
        nargs="*",
        metavar="CHECK",
        help="only these checks, such as redis, engine or a backend (default: all)",
    )
    command.add_argument("--all", action="store_true", help="list the checks that are fine as well")


def _reproduce(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "row", metavar="RUN/TRIAL_ID", help="a row of the trial.csv of a run or package"
    )
    # A run does not call a user's function by itself: the command line must name it again.
    for name in ("--task", "--args"):
        command.add_argument(name, **OPTIONS["selection"][name])
    _add_results(command)


def _add_results(command: argparse.ArgumentParser) -> None:
    command.add_argument("--results", type=Path, default=RESULTS, help=argparse.SUPPRESS)


def _env(command: argparse.ArgumentParser) -> None:
    # Not `choices`, whose error suggests no similar name; `env.run` checks the value.
    command.add_argument(
        "action", nargs="?", default="list", metavar="ACTION", help="list or prune (default: list)"
    )


def _clean(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--images",
        action="store_true",
        help="also remove the container images that were built for other versions of the lab",
    )


ADD = {
    "bench": _bench,
    "claims": _claims,
    "list": _list,
    "report": _report,
    "compare": _compare,
    "versions": _versions,
    "history": _history,
    "publish": _publish,
    "reproduce": _reproduce,
    "doctor": _doctor,
    "env": _env,
    "clean": _clean,
}
