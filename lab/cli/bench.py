"""Runs `lab bench`: plans a campaign, runs it, and writes its report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab.campaign import feasible, run_folder, runner
from lab.campaign.estimate import slowdown_by
from lab.campaign.load_sweep import later_stages_s
from lab.campaign.precision import FEWEST_BLOCKS
from lab.cli import busy, check_machine, conclusion
from lab.cli.cases import lookup
from lab.cli.check import Health
from lab.cli.growing_page import GrowingPage, stopped, write_unfinished
from lab.cli.interleave import InterleavedWatch
from lab.cli.options import command_line, refuse_changes
from lab.cli.progress import ProgressWatch, show_plan
from lab.cli.selection import load_sweep_of, named_function, select
from lab.cli.skipped import skip_lines, skips_of
from lab.console import progress_console, say
from lab.core import placement
from lab.core.defects import contained
from lab.core.errors import ExitCode, NothingSelectedError, UsageError
from lab.core.model import Status
from lab.host import child_environment
from lab.planning import registry
from lab.planning.commands import with_function
from lab.planning.plan import make_plan
from lab.planning.presets import PRESETS
from lab.providers import PROVIDERS, choice
from lab.recording import cpu_users
from lab.results import run_names
from lab.results.schema import TrialRow
from lab.results.store import Store


def run(options: argparse.Namespace) -> int:
    """Plan and run a campaign, and write its report."""
    return measure(options)[0]


def measure(options: argparse.Namespace) -> tuple[int, Path | None]:
    """Plan and run a campaign, and write its report; return its exit code and its folder.

    A dry run has no folder.
    """
    stored = _stored_run(options) if options.resume else None
    campaign = stored[1] if stored else _new_run(options)
    # After the checks of the command line: the message of an error in it is the only one.
    slowdown = _warn(options)
    if options.dry_run:
        show_plan(campaign.plan, campaign.sweep, is_longest=bool(campaign.precision))
    elif not campaign.plan.trials:
        for line in skip_lines(skips_of(campaign.plan), progress_console.width):
            say(line)
    if not campaign.plan.trials:
        raise NothingSelectedError("Nothing to run: all configurations are skipped.")
    if options.dry_run:
        return ExitCode.FINE, None
    # Before the folder exists: an image that cannot be built must leave no empty run.
    choice.prepare(campaign.plan.trials, say)
    choice.prepare_environments(campaign.plan.trials, say)
    store = stored[0] if stored else run_folder.create(options.results, campaign)
    # Values are in no file: a resumed run needs the variables again, before its first trial.
    child_environment.passed({name for spec in campaign.plan.trials for name in spec.pass_env})
    say(f"Run {store.folder}")
    is_continued = _execute(store, campaign, options, slowdown)
    # Of the whole run: its result does not depend on how often it was interrupted.
    rows = conclusion.trials_of(store)
    if options.resume and not is_continued:
        say("This run is complete, and nothing was left to run. The result of all its trials:")
    if options.tables_only:
        # `lab compare --pairs`, which uses this option, takes MACHINE_FAILED as a failed campaign.
        return runner.exit_code(rows), store.folder
    try:
        return _conclude(store.folder, rows, options), store.folder
    except KeyboardInterrupt:
        say(f"Stopped. All trials have ended and are saved: {store.folder}")
        say(f"To write the page: lab report {store.folder}")
        raise


def _warn(options: argparse.Namespace) -> float:
    """Print what may spoil the campaign; return how many times longer its work takes."""
    for entry in registry.left_out():
        say(str(entry))
    # The check watches the CPUs for a second, which is useless before a dry run.
    if options.dry_run or options.turns:
        return 1.0
    warn_if_full(options.results)
    return warn_if_busy()


def _execute(
    store: Store, campaign: run_folder.Run, options: argparse.Namespace, slowdown: float
) -> bool:
    """Run the trials that have not run, and return whether there were any."""
    # The command names the user's function, which a stored run does not call without it.
    resume = with_function(
        f"lab bench --resume {store.folder}", run_folder.workloads(campaign.plan)
    )
    try:
        with _watch(store, campaign, options, slowdown) as watch:
            return bool(runner.execute(store, campaign, watch))
    except KeyboardInterrupt:
        page = f"To write the page of the finished trials: lab report {store.folder}"
        try:
            if not options.tables_only:
                page = _show_finished(store, page)
        finally:  # also after a second interrupt
            if not options.tables_only:
                say(page)
            say(f"Stopped. All finished trials are saved. To continue: {resume}")
        # `main` returns the exit code of an interrupt.
        raise


def _watch(
    store: Store, campaign: run_folder.Run, options: argparse.Namespace, slowdown: float
) -> ProgressWatch:
    if options.turns:
        return InterleavedWatch(store)
    later_s = later_stages_s(campaign.sweep, campaign.plan) if campaign.sweep else 0.0
    page = GrowingPage(store).update if not options.tables_only else lambda: None
    return ProgressWatch(store, page, slowdown, later_s)


def warn_if_busy() -> float:
    """Print what uses the CPUs now, and what that does to the trials.

    Return how many times longer work takes beside it.
    """
    users = cpu_users.watch(placement.available_cpus())
    if problem := busy.finding(users):
        say(
            f"{problem} The time left is estimated for this load. Ctrl-C stops the run; finished "
            "trials are kept."
        )
    return slowdown_by((users.share or 0.0) + (users.steal or 0.0))


def warn_if_full(results: Path) -> None:
    """Print how much space is free for results if a campaign may need more."""
    disk = check_machine.disk(results)
    if disk.state is not Health.OK:
        say(f"{disk.finding} To see the largest: {disk.fix}.")


def _stored_run(options: argparse.Namespace) -> tuple[Store, run_folder.Run]:
    refuse_changes(options, "--resume")
    options.resume = run_names.find(options.resume, options.results, say)
    return run_folder.load(options.resume, named_function(options))


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
    preset = lookup("preset", options.preset, PRESETS)
    selection = select(options, preset)
    plan = make_plan(selection)
    feasible.require_feasible(plan)
    sweep = load_sweep_of(options, preset)
    blocks = max(selection.blocks, sweep.blocks if sweep else 0)
    if options.precision and blocks <= FEWEST_BLOCKS:
        raise UsageError(
            f"--precision stops after {FEWEST_BLOCKS} blocks at the earliest, and this run has "
            f"{blocks}. Add --blocks {3 * FEWEST_BLOCKS}, the largest number, or --preset standard."
        )
    say(why)
    labels = sorted({spec.label for spec in plan.trials})
    if references := [label for label in labels if label in selection.references]:
        say(f"Also running reference backends: {', '.join(references)}.")
    return run_folder.Run(
        plan=plan,
        preset=preset.name,
        seed=selection.seed,
        reruns=preset.reruns,
        command=command,
        sweep=sweep,
        precision=options.precision,
    )


def _show_finished(store: Store, otherwise: str) -> str:
    """Print the tables of a stopped run, and write its page; return where it is, or `otherwise`."""
    from lab.cli.report import show_tables
    from lab.report.run_tables import RunTables

    contained(lambda: show_tables(RunTables(store.folder)), say)
    ended = {Status.OK, Status.FAILED, Status.TIMEOUT}
    if not store.read("trial")["status"].isin(ended).any():
        return otherwise
    say("Writing the page of the finished trials, without figures. Ctrl-C leaves it out.")
    when = stopped(store, f"For its figures: lab report {store.folder.name}. ")
    return contained(lambda: write_unfinished(store, when), lambda _: otherwise)


def _conclude(folder: Path, rows: Sequence[TrialRow], options: argparse.Namespace) -> int:
    def leave_out(reason: str) -> None:
        say(f"The report page was not written: {reason} To try again: lab report {folder}")

    # Drawing needs matplotlib, and history needs asv: a dry run and a failed plan need neither.
    from lab.cli import history
    from lab.cli.report import show
    from lab.report.run_tables import RunTables
    from lab.report.terminal import verdict_of

    # All trials are saved: a defect in the page or the history must lose nothing else.
    tables = RunTables(folder)
    page = contained(lambda: show(tables, len(rows)), leave_out)
    contained(
        # The user of --allow-dirty knows already why the run is not in the history.
        lambda: history.add(folder, report_refusal=not options.allow_dirty),
        lambda reason: say(f"This run was not added to the history: {reason}"),
    )
    say(f"{conclusion.counts(rows)} {conclusion.spread(rows)}".rstrip())
    is_allowed = options.allow_disturbed
    if lack := conclusion.few_count(rows):
        say(f"{lack}\n{conclusion.next_steps(folder.name, rows, is_allowed=is_allowed)}")
    # The result and the paths are last: nox prints a line of its own after them.
    if sentence := contained(lambda: verdict_of(tables), lambda _: ""):
        say(sentence)
    say(f"Run folder: {folder}" + (f"\nReport page: {page}" if page else ""))
    return conclusion.exit_code(rows, is_allowed=is_allowed)
