"""Runs `lab bench`: plans a campaign, runs it, and writes its report."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab.campaign import consent, feasible, run_folder, runner
from lab.campaign.precision import FEWEST_BLOCKS
from lab.cli import busy, check_machine
from lab.cli.cases import lookup
from lab.cli.check import Health
from lab.cli.growing_page import GrowingPage
from lab.cli.interleave import InterleavedWatch
from lab.cli.options import command_line, refuse_changes
from lab.cli.progress import ProgressWatch, show_plan
from lab.cli.selection import load_sweep_of, named_function, select
from lab.cli.skipped import skip_lines, skips_of
from lab.console import progress_console, say
from lab.core import placement
from lab.core.defects import contained
from lab.core.errors import ExitCode, NothingSelectedError, UsageError
from lab.core.model import COUNTED_FLAGS, Flag, Status
from lab.host import child_environment
from lab.planning import registry
from lab.planning.plan import make_plan
from lab.planning.presets import PRESETS
from lab.providers import PROVIDERS, choice
from lab.recording import cpu_users
from lab.report.number_format import percent, plural
from lab.results import run_names
from lab.results.schema import TrialRow
from lab.results.store import Store


def run(options: argparse.Namespace) -> int:
    """Plan and run a campaign, and write its report."""
    # The check watches the CPUs for a second, which is useless before a dry run.
    if not (options.dry_run or options.turns):
        warn_if_full(options.results)
        warn_if_busy()
    for entry in registry.left_out():
        say(str(entry))
    if options.resume:
        refuse_changes(options, "--resume")
        options.resume = run_names.find(options.resume, options.results, say)
        store, campaign = run_folder.load(options.resume, named_function(options))
        choice.prepare({spec.provider for spec in campaign.plan.trials}, say)
    else:
        campaign = _new_run(options)
        if options.dry_run:
            show_plan(campaign.plan, campaign.sweep, is_longest=bool(campaign.precision))
            return ExitCode.FINE
        if not campaign.plan.trials:
            for line in skip_lines(skips_of(campaign.plan), progress_console.width):
                say(line)
            raise NothingSelectedError("Nothing to run: all configurations are skipped.")
        # Before the folder exists: an image that cannot be built must leave no empty run.
        choice.prepare({spec.provider for spec in campaign.plan.trials}, say)
        store = run_folder.create(options.results, campaign)
    # Values are in no file: a resumed run needs the variables again, before its first trial.
    child_environment.passed({name for spec in campaign.plan.trials for name in spec.pass_env})
    say(f"Run {store.folder}")
    # The command names the user's function, which a stored run does not call without it.
    resume = consent.command(
        f"lab bench --resume {store.folder}", run_folder.workloads(campaign.plan)
    )
    try:
        with _watch(store, options) as watch:
            rows = runner.execute(store, campaign, watch)
    except KeyboardInterrupt:
        if not options.tables_only:
            _show_finished(store.folder)
        say(f"Stopped. All finished trials are saved. To continue: {resume}")
        # `main` returns the exit code of an interrupt.
        raise
    if options.tables_only:
        # `lab compare --pairs`, which uses this option, takes MACHINE_FAILED as a failed campaign.
        return runner.exit_code(rows)
    return _conclude(store.folder, rows, options)


def _watch(store: Store, options: argparse.Namespace) -> ProgressWatch:
    if options.turns:
        return InterleavedWatch(store)
    if options.tables_only:
        return ProgressWatch(store)
    return ProgressWatch(store, GrowingPage(store).update)


def warn_if_busy() -> None:
    """Print what uses the CPUs now, and what that does to the trials."""
    if problem := busy.finding(cpu_users.watch(placement.available_cpus())):
        say(f"{problem} Ctrl-C stops the run; finished trials are kept.")


def warn_if_full(results: Path) -> None:
    """Print how much space is free for results if a campaign may need more."""
    disk = check_machine.disk(results)
    if disk.state is not Health.OK:
        say(f"{disk.finding} To see the largest: {disk.fix}.")


def _new_run(options: argparse.Namespace) -> run_folder.Run:
    """Return a run with a new plan, or with the plan of another run (`--like`)."""
    command = command_line(options.words)
    if options.like:
        refuse_changes(options, "--like")
        # The other plan contains the trials that followed from its results, so no sweep is needed.
        options.like = run_names.find(options.like, options.results, say)
        again = f"lab bench --like {options.like}"
        like = run_folder.read_plan(options.like, named_function(options), again)
        # A stored plan may come from another person, with windows that the lab cannot record.
        feasible.require_feasible(like.plan)
        return replace(like, command=command, sweep=None)
    if options.provider is not None:  # before a sentence that would call it chosen
        lookup("provider", options.provider, PROVIDERS)
    options.provider, why = choice.choose(options.provider)
    say(why)
    preset = lookup("preset", options.preset, PRESETS)
    selection = select(options, preset)
    plan = make_plan(selection)
    feasible.require_feasible(plan)
    labels = sorted({spec.label for spec in plan.trials})
    if references := [label for label in labels if label in selection.references]:
        say(f"Also running reference backends: {', '.join(references)}.")
    sweep = load_sweep_of(options, preset)
    blocks = max(selection.blocks, sweep.blocks if sweep else 0)
    if options.precision and blocks <= FEWEST_BLOCKS:
        raise UsageError(
            f"--precision stops after {FEWEST_BLOCKS} blocks at the earliest, and this run has "
            f"{blocks}. Add --blocks {3 * FEWEST_BLOCKS}, the largest number, or --preset standard."
        )
    return run_folder.Run(
        plan=plan,
        preset=preset.name,
        seed=selection.seed,
        reruns=preset.reruns,
        command=command,
        sweep=sweep,
        precision=options.precision,
    )


def _show_finished(folder: Path) -> None:
    from lab.cli.report import show_tables
    from lab.report import RunTables

    contained(lambda: show_tables(RunTables(folder)), say)


def _conclude(folder: Path, rows: Sequence[TrialRow], options: argparse.Namespace) -> int:
    def leave_out(reason: str) -> None:
        say(f"The report page was not written: {reason} To try again: lab report {folder}")

    # Drawing needs matplotlib, and history needs asv: a dry run and a failed plan need neither.
    from lab.cli import history
    from lab.cli.report import show
    from lab.report import RunTables, verdict_of

    # All trials are saved: a defect in the page or the history must lose nothing else.
    tables = RunTables(folder)
    page = contained(lambda: show(tables, len(rows)), leave_out)
    contained(
        # The user of --allow-dirty knows already why the run is not in the history.
        lambda: history.add(folder, report_refusal=not options.allow_dirty),
        lambda reason: say(f"This run was not added to the history: {reason}"),
    )
    say(f"{counts(rows)} {spread(rows)}".rstrip())
    if sentence := contained(lambda: verdict_of(tables), lambda _: ""):
        say(sentence)
    say(f"Run folder: {folder}" + (f"\nReport page: {page}" if page else ""))
    if lack := few_count(rows):
        say(f"{lack} To repeat the same plan: lab bench --like {folder.name}")
    return exit_code(rows, is_allowed=options.allow_disturbed)


def exit_code(rows: Sequence[TrialRow], *, is_allowed: bool) -> ExitCode:
    """Return the exit code; `is_allowed` accepts that most trials were disturbed."""
    code = runner.exit_code(rows)
    # A failed trial is worse than a disturbed one, so its exit code has priority.
    is_disturbed = bool(few_count(rows)) and not is_allowed
    return ExitCode.MACHINE_FAILED if is_disturbed and code == ExitCode.FINE else code


def counts(rows: Sequence[TrialRow]) -> str:
    """Count the trials by flag, and those that failed."""
    flags = [row.flag for row in rows if row.status == Status.OK]
    texts = [f"{flags.count(flag)} {flag}" for flag in Flag if flag in flags]
    if failed := sum(row.status in (Status.FAILED, Status.TIMEOUT) for row in rows):
        texts.append(f"{failed} failed or timed out")
    ran = sum(row.status != Status.SKIPPED for row in rows)
    return f"{plural(ran, 'trial')}: {', '.join(texts) or 'all were skipped'}."


def spread(rows: Sequence[TrialRow]) -> str:
    """Return how much the speed of the CPU itself changed; empty without a trial."""
    changes = [row.calibration_drift for row in rows if row.calibration_drift is not None]
    if not changes:
        return ""
    median, most = percent(statistics.median(changes)), percent(max(changes))
    return (
        f"The speed of the CPU changed by {median} at the median and {most} at most around a "
        "trial, which widens the intervals."
    )


def few_count(rows: Sequence[TrialRow]) -> str:
    """Return a sentence if fewer than half of the trials count because of the machine."""
    flags = [row.flag for row in last_of_each(rows) if row.status == Status.OK]
    counted, disturbed = sum(flag in COUNTED_FLAGS for flag in flags), flags.count(Flag.DISTURBED)
    # Invalid records are no fault of the machine: advice about its load would not help.
    if not disturbed or counted >= len(flags) / 2:
        return ""
    return (
        f"Only {counted} of {len(flags)} trials count: the others were disturbed, so their numbers "
        "are shown and not ranked. Stop the programs that use the CPUs; lab doctor lists them."
    )


def last_of_each(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Return the last attempt at each trial."""
    # Rows are in order of time: a trial counts if its repetition was not disturbed.
    return list({row.trial_id: row for row in rows}.values())
