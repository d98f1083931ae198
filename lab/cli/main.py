"""Implements the command line `lab` and its commands bench, list, report, doctor and clean.

The other commands are in the rooms of their topic: claims, compare, history, publish, reproduce.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from lab.analysis import compute
from lab.campaign import consent, run_folder, runner
from lab.cli import claims, history
from lab.cli import compare as comparison
from lab.cli import publish as publishing
from lab.cli.interleave import Turns
from lab.cli.list import list_names
from lab.cli.options import OPTIONS, command_line
from lab.cli.progress import ProgressWatch, show_plan
from lab.cli.selection import known, ladder_of, named_function, select
from lab.console import duration, print_any_text, say, show_line, show_table
from lab.core.defects import contained, last_words
from lab.core.errors import EXIT_CODES, ExitCode, LabError, NothingSelectedError, UsageError
from lab.core.model import Flag, Status
from lab.host import child_environment, interrupts
from lab.planning import feasible, registry
from lab.planning.plan import make_plan
from lab.planning.presets import PRESETS
from lab.planning.ranges import NUMBERS
from lab.providers import choice, watchdog
from lab.results.schema import TrialRow

# Seconds for the metrics of a trial, for its part of a page, and for all figures of a quick run;
# measured on two cores.
NUMBERS_S, PAGE_S, DRAWING_S = 0.03, 0.015, 10.0
HELP_WIDTH = 100
EPILOG = """\
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


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    main_parser = argparse.ArgumentParser(
        prog="lab",
        description="Compare Python systems that run tasks in the background, under the same load.",
        epilog=f"{EPILOG}\n{textwrap.fill(EXIT_CODES, HELP_WIDTH)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_bench(commands)
    claims.describe(
        _command(commands, "claims", claims.run, "Test published claims about the backends.")
    )
    _command(commands, "list", list_names, "List backends, variants, profiles, workloads, presets.")
    report = _command(commands, "report", report_run, "Recompute a run's tables, figures and page.")
    report.add_argument("run", nargs="?", type=Path, help="run folder (default: the latest)")
    comparison.describe(
        _command(commands, "compare", comparison.run, "Compare two runs, commits or environments.")
    )
    history.describe(
        _command(commands, "history", history.run, "Show results over commits, and their changes.")
    )
    publishing.describe_publish(
        _command(commands, "publish", publishing.publish, "Export a run as a folder to upload.")
    )
    publishing.describe_reproduce(
        _command(commands, "reproduce", publishing.run_again, "Repeat one trial of a run.")
    )
    _command(commands, "doctor", doctor, "Show what is missing on this machine, and how to fix it.")
    _command(commands, "clean", clean, "Remove processes and containers of labs that were killed.")
    for command in commands.choices.values():
        command.epilog = f"{command.epilog or ''}\n{textwrap.fill(EXIT_CODES, HELP_WIDTH)}"
    return main_parser


# The type of the result of add_subparsers has no public name.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def _command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=EPILOG if name == "bench" else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run_command=run)
    return command


def _add_bench(commands: Commands) -> None:
    command = _command(commands, "bench", bench, "Run a campaign and write its report.")
    for title, options in OPTIONS.items():
        group = command.add_argument_group(title)
        for names, facts in options.items():
            kind, text = facts.get("type"), facts["help"]
            if isinstance(kind, NUMBERS):
                text = f"{text}; {kind}"
            group.add_argument(*names.split(), **{**facts, "help": text})


def bench(options: argparse.Namespace) -> int:
    """Plan and run a campaign, and write its report."""
    for entry in registry.left_out():
        say(str(entry))
    if options.resume:
        store, run = run_folder.load(options.resume, named_function(options))
        choice.prepare({spec.provider for spec in run.plan.trials}, say)
    else:
        run = _new_run(options)
        if options.dry_run:
            show_plan(run.plan, run.ladder)
            return ExitCode.FINE
        if not run.plan.trials:
            reasons = " ".join(dict.fromkeys(skip.reason for skip in run.plan.skips))
            raise NothingSelectedError(f"Nothing to run. {reasons}")
        choice.prepare({spec.provider for spec in run.plan.trials}, say)
        store = run_folder.create(options.results, run)
    child_environment.passed({name for spec in run.plan.trials for name in spec.pass_env})
    say(f"Run {store.folder}")
    resume = consent.command(f"lab bench --resume {store.folder}", run_folder.workloads(run.plan))
    try:
        with Turns(store.folder) if options.turns else ProgressWatch() as watch:
            rows = runner.execute(store, run, watch)
    except KeyboardInterrupt:
        say(f"Stopped. All finished trials are saved. To continue: {resume}")
        raise
    if options.tables_only:
        return runner.exit_code(rows)
    return _conclude(store.folder, rows, is_dirty_allowed=options.allow_dirty)


def _new_run(options: argparse.Namespace) -> run_folder.Run:
    """Return a run with a new plan, or with the plan of another run (`--like`)."""
    command = command_line(options.words)
    if options.like:
        # The other plan contains the trials that followed from its results, so no ladder is needed.
        again = f"lab bench --like {options.like}"
        like = run_folder.read_plan(options.like, named_function(options), again)
        feasible.require_feasible(like.plan)
        return replace(like, command=command, ladder=None)
    options.provider, why = choice.choose(options.provider)
    say(why)
    preset = known("preset", options.preset, PRESETS)
    selection = select(options, preset)
    plan = make_plan(selection)
    feasible.require_feasible(plan)
    labels = sorted({spec.label for spec in plan.trials})
    if references := [label for label in labels if label in selection.references]:
        say(f"Also running reference backends: {', '.join(references)}.")
    ladder = ladder_of(options, preset)
    return run_folder.Run(plan, preset.name, selection.seed, preset.reruns, command, ladder)


def _conclude(folder: Path, rows: Sequence[TrialRow], *, is_dirty_allowed: bool) -> int:
    def leave_out(reason: str) -> None:
        say(f"The report page was not written: {reason} To try again: lab report {folder}")

    page = contained(lambda: _shown(folder, len(rows)), leave_out)
    failed = [row for row in rows if row.status in (Status.FAILED, Status.TIMEOUT)]
    flags = [row.flag for row in rows if row.status == Status.OK]
    say(
        f"{len(rows)} trials: {flags.count(Flag.OK)} ok, {flags.count(Flag.NOISY)} noisy, "
        f"{flags.count(Flag.INVALID)} invalid, {len(failed)} failed or timed out."
    )
    if flags.count(Flag.INVALID) > len(flags) / 2:
        say(
            "More than half of the trials are invalid because other processes used the CPU. "
            "Stop them and run the command again."
        )
    contained(
        lambda: history.add(folder, report_refusal=not is_dirty_allowed),
        lambda reason: say(f"This run was not added to the history: {reason}"),
    )
    say(f"Run folder: {folder}" + (f"\nReport page: {page}" if page else ""))
    return runner.exit_code(rows)


def report_run(options: argparse.Namespace) -> int:
    """Recompute tables, figures and page of a run from its trials."""
    from lab.results.store import Store

    folder = options.run or _latest()
    if not (folder / "campaign.csv").exists():
        raise UsageError(f"{folder} is not a run folder: it contains no campaign.csv.")
    store = Store(folder)
    store.check()
    n_trials = len(store.read("trial"))
    say(f"Recomputing metrics of {n_trials} trials: about {duration(n_trials * NUMBERS_S)}.")
    for sentence in compute.derive(store):
        say(sentence)
    say(f"Report page: {_shown(folder, n_trials)}")
    return ExitCode.FINE


def _shown(folder: Path, n_trials: int) -> Path:
    """Write figures and page, print the tables, and return the path of the page."""
    from lab import report  # imports pandas and matplotlib, which other commands do not need

    say(f"Writing figures and page: about {duration(DRAWING_S + n_trials * PAGE_S)}.")
    page = report.write(folder)
    for table in report.terminal_tables(folder):
        show_table(*table)
    for answer in report.sentences(folder):
        show_line(answer)
    return page


def _latest() -> Path:
    from lab.results.store import runs

    folders = runs(Path("results"), say)
    if not folders:
        raise UsageError("There is no run in results/runs. To create one: lab bench")
    return folders[-1]


def doctor(_: argparse.Namespace) -> int:
    """Print the checks of this machine, with the command that fixes each failed one."""
    from lab.cli.doctor import examine

    checks = [(c.name, c.state, c.finding, c.fix) for c in examine(registry.backends())]
    show_table("Doctor", ("check", "state", "finding", "to fix it"), checks)
    return ExitCode.FINE


def clean(_: argparse.Namespace) -> int:
    """Remove leftover objects of labs that were killed; running labs are not affected."""
    for kind, number in watchdog.remove_dead().items():
        say(f"{number} {kind}.")
    return ExitCode.FINE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its `ExitCode`; an exception becomes a one-line message."""
    interrupts.install()
    print_any_text()
    try:
        _require_folder()
        options = parser().parse_args(arguments)
        options.words = sys.argv[1:] if arguments is None else arguments
        return int(options.run_command(options))
    except LabError as error:
        say(f"lab: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        interrupts.ignore()
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output, such as `head`, has ended; this is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FINE
    except Exception as error:  # noqa: BLE001 (no traceback ever reaches the user)
        say(f"lab: {last_words(error)}")
        return ExitCode.MACHINE_FAILED


def _require_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError("The current folder does not exist. Change to another one.") from error
