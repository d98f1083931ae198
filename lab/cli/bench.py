"""Runs `lab bench`: plans a campaign, runs it, and writes its report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab.campaign import consent, feasible, run_folder, runner
from lab.cli.interleave import Turns
from lab.cli.options import command_line
from lab.cli.progress import ProgressWatch, show_plan
from lab.cli.selection import ladder_of, lookup, named_function, select
from lab.console import say
from lab.core.defects import contained
from lab.core.errors import ExitCode, NothingSelectedError
from lab.core.model import Flag, Status
from lab.host import child_environment
from lab.planning import registry
from lab.planning.plan import make_plan
from lab.planning.presets import PRESETS
from lab.providers import choice
from lab.results import run_names
from lab.results.schema import TrialRow


def run(options: argparse.Namespace) -> int:
    """Plan and run a campaign, and write its report."""
    for entry in registry.left_out():
        say(str(entry))
    if options.resume:
        options.resume = run_names.find(options.resume, options.results, say)
        store, campaign = run_folder.load(options.resume, named_function(options))
        choice.prepare({spec.provider for spec in campaign.plan.trials}, say)
    else:
        campaign = _new_run(options)
        if options.dry_run:
            show_plan(campaign.plan, campaign.ladder)
            return ExitCode.FINE
        if not campaign.plan.trials:
            reasons = " ".join(dict.fromkeys(skip.reason for skip in campaign.plan.skips))
            raise NothingSelectedError(f"Nothing to run. {reasons}")
        choice.prepare({spec.provider for spec in campaign.plan.trials}, say)
        store = run_folder.create(options.results, campaign)
    child_environment.passed({name for spec in campaign.plan.trials for name in spec.pass_env})
    say(f"Run {store.folder}")
    resume = consent.command(
        f"lab bench --resume {store.folder}", run_folder.workloads(campaign.plan)
    )
    try:
        with Turns(store.folder) if options.turns else ProgressWatch() as watch:
            rows = runner.execute(store, campaign, watch)
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
        options.like = run_names.find(options.like, options.results, say)
        again = f"lab bench --like {options.like}"
        like = run_folder.read_plan(options.like, named_function(options), again)
        feasible.require_feasible(like.plan)
        return replace(like, command=command, ladder=None)
    options.provider, why = choice.choose(options.provider)
    say(why)
    preset = lookup("preset", options.preset, PRESETS)
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

    # Drawing needs matplotlib, and history needs asv: a dry run and a failed plan need neither.
    from lab.cli import history
    from lab.cli.report import show

    page = contained(lambda: show(folder, len(rows)), leave_out)
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
