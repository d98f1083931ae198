"""`lab claims`: which claims are tried, how that is told, and the exit code."""

from __future__ import annotations

import argparse
import secrets
import shlex
import sys
from pathlib import Path

from lab import campaign, ranges, runs
from lab.claims import answers, questions, wording
from lab.claims.questions import QUESTIONS
from lab.claims.seed import SEED
from lab.console import ProgressWatch, duration, say, show_plan, show_table
from lab.errors import ExitCode, NothingSelectedError
from lab.options import command_line
from lab.plan import total_s
from lab.selection import known
from lab.store import Store

NAME = "claims"
_LINES = "\n".join(f"  {name:<17}{question.about}" for name, question in QUESTIONS.items())
EPILOG = f"""\
examples:
  lab claims                                     the whole table, from nothing but trials
  lab claims --backend celery --claim retry
  lab claims --dry-run                           which trials that takes, and how long
  lab claims --resume results/runs/RUN           go on where a run was stopped

A claim `holds`, `holds with: CONDITION` when it takes more than the system as installed, `does not
hold`, or is `not measured: REASON`. Each names the trials that show it, folders of the run with
every record. A claim is so when:
{_LINES}

Clusters are processes of this machine. The exit code does not depend on the verdicts.
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add what can be said on the command line."""
    parser.epilog = EPILOG
    parser.add_argument(
        "--backend",
        "-b",
        action="append",
        metavar="NAME",
        help="system whose claims are tried; repeat for more (default: all of the seed)",
    )
    parser.add_argument(
        "--claim",
        "-c",
        action="append",
        metavar="NAME",
        help="claim that is tried; repeat for more (default: all)",
    )
    parser.add_argument(
        "--seed",
        type=ranges.SEED,
        metavar="N",
        help=f"seed of order and arguments; {ranges.SEED}",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and run nothing")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with this run folder")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="FOLDER",
        help="where runs are kept (default: results)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the trials that the claims need, judge, and print."""
    if options.resume:
        store, made = runs.load(options.resume)
        claims = _claims(_as_asked(made.command))
    else:
        claims = _claims(options)
        seed = secrets.randbits(31) if options.seed is None else options.seed
        wanted = [(c.question, way.label) for b, c in claims for way in answers.ways(b, c)]
        plan = questions.plan(wanted, seed)
        if options.dry_run:
            show_plan(plan)
            return ExitCode.FINE
        command = command_line(sys.argv[1:])
        made = runs.Run(plan, NAME, seed, reruns=0, command=command)
        store = runs.create(options.results, made)
    n, left = len(made.plan.trials), duration(total_s(made.plan.trials, {}))
    most = f"at most {n} trials, {left} if all are needed"
    say(f"Run {store.folder}: {len(claims)} claims, {most}.")
    try:
        with ProgressWatch() as watch:
            rows = campaign.execute(
                store,
                made,
                watch,
                lambda spec: questions.attempts(spec, answers.last_rows(store).values()),
            )
    except KeyboardInterrupt:
        _conclude(store, made, claims)
        say(f"Stopped. Every finished trial is kept: lab claims --resume {store.folder}")
        raise
    _conclude(store, made, claims)
    return campaign.exit_code(rows)


def _claims(options: argparse.Namespace) -> answers.Asked:
    for name in options.backend or ():
        known("backend with claims", name, SEED)
    for name in options.claim or ():
        known("claim", name, QUESTIONS)
    claims = answers.asked(options.backend or list(SEED), options.claim or list(QUESTIONS))
    if not claims:
        raise NothingSelectedError("The seed says nothing of that. What it says: lab claims --help")
    return claims


def _as_asked(command: str) -> argparse.Namespace:
    """Return the options of a run that was begun with `command`."""
    parser = argparse.ArgumentParser()
    describe(parser)
    return parser.parse_args(shlex.split(command)[1:])


def _conclude(store: Store, made: runs.Run, claims: answers.Asked) -> None:
    rows = answers.judge_all(store, made.plan, claims)
    store.replace("claim", rows)
    show_table(wording.TABLE, wording.TABLE_COLUMNS, wording.table(rows))
    show_table(wording.REST, wording.REST_COLUMNS, wording.rest(rows))
    for line in [*wording.unjudged(rows), wording.summary(rows)]:
        say(line)
    say(f"Every claim with its figures and trials: {store.folder / 'claim.csv'}")
