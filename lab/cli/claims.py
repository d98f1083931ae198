"""Runs `lab claims`: selects the claims, runs their trials, and prints the verdicts."""

from __future__ import annotations

import argparse
import secrets
import shlex
import sys

from lab.campaign import run_folder, runner
from lab.campaign.estimate import total_s
from lab.claims import criteria, evaluate, render
from lab.claims.criteria import CRITERIA
from lab.claims.published_claims import PUBLISHED
from lab.cli import conclusion
from lab.cli.cases import lookup
from lab.cli.options import command_line
from lab.cli.parser import parse
from lab.cli.progress import ProgressWatch, show_plan
from lab.console import duration, say, show_table
from lab.core.errors import ExitCode, NothingSelectedError
from lab.providers import choice
from lab.results import run_names
from lab.results.store import Store

NAME = "claims"


def run(options: argparse.Namespace) -> int:
    """Run the trials of the selected claims and print the verdicts."""
    if options.resume:
        options.resume = run_names.find(options.resume, options.results, say)
        store, campaign_run = run_folder.load(options.resume)
        choice.prepare(campaign_run.plan.trials, say)
        # The plan has trials for the claims of the first command only.
        claims = _claims(_first_options(campaign_run.command))
    else:
        claims = _claims(options)
        # In the range of --seed, so that the user can repeat a drawn seed.
        seed = secrets.randbits(31) if options.seed is None else options.seed
        wanted = [
            (claim.criterion, way.label)
            for backend, claim in claims
            for way in evaluate.ways(backend, claim)
            if not CRITERIA[claim.criterion].trials.lack(way.label)
        ]
        plan = criteria.plan(wanted, seed)
        if options.dry_run:
            show_plan(plan)
            return ExitCode.FINE
        choice.prepare(plan.trials, say)
        command = command_line(sys.argv[1:])
        # Zero, because `attempts` below replaces the rule of reruns.
        campaign_run = run_folder.Run(plan, NAME, seed, reruns=0, command=command)
        store = run_folder.create(options.results, campaign_run)
    trials = campaign_run.plan.trials
    # Pairs end early, as soon as enough of them are undisturbed (METHOD M10).
    most = f"at most {len(trials)} trials ({duration(total_s(trials))})"
    say(f"Run {store.folder}: {len(claims)} claims, {most}.")
    try:
        with ProgressWatch() as watch:
            runner.execute(
                store,
                campaign_run,
                watch,
                lambda spec: criteria.attempts(spec, evaluate.last_rows(store).values()),
            )
    except KeyboardInterrupt:
        _conclude(store, campaign_run, claims)
        say(
            f"Stopped. Finished trials are saved. Continue with: lab claims --resume {store.folder}"
        )
        raise
    _conclude(store, campaign_run, claims)
    # A claim that does not hold is a result, so only failed trials change the exit code.
    return runner.exit_code(conclusion.trials_of(store))


def _claims(options: argparse.Namespace) -> evaluate.BackendClaims:
    for name in options.backend or ():
        lookup("backend with claims", name, PUBLISHED)
    # Not only the criteria: a claim that another criterion tests has a name of its own.
    names = {claim.name: claim for each in PUBLISHED.values() for claim in each.claims}
    for name in options.claim or ():
        lookup("claim", name, {**CRITERIA, **names})
    claims = evaluate.select_claims(options.backend or list(PUBLISHED), options.claim or [*names])
    if not claims:
        raise NothingSelectedError("No published claim matches. See: lab claims --help")
    return claims


def _first_options(command: str) -> argparse.Namespace:
    """Return the options of the command that created a run."""
    return parse(shlex.split(command))


def _conclude(store: Store, campaign_run: run_folder.Run, claims: evaluate.BackendClaims) -> None:
    rows = evaluate.judge_all(store, campaign_run.plan, claims)
    # A resumed run judges every claim again: appended rows would be a second verdict.
    store.replace("claim", rows)
    show_table(render.TABLE, render.TABLE_COLUMNS, render.table(rows))
    show_table(render.REST, render.REST_COLUMNS, render.rest(rows))
    for line in [*render.unjudged(rows), render.summary(rows)]:
        say(line)
    say(f"All claims, with evidence and trial ids: {store.folder / 'claim.csv'}")
