"""Reruns the trial of one published row, and lists how this machine and its software differ."""

from __future__ import annotations

import re
from pathlib import Path

from lab.campaign import run_folder, runner
from lab.console import say
from lab.core.errors import ResultsError, UsageError
from lab.core.model import TrialSpec
from lab.host import environment
from lab.planning.plan import Plan
from lab.providers import redis_program
from lab.results import run_names
from lab.results.store import Store
from lab.results.store import list_runs as readable_runs

# A trial id; anything else, such as a path, is rejected.
TRIAL = re.compile(r"[0-9a-f]{16}")


def find_row(row: str, results: Path) -> tuple[Path, TrialSpec]:
    """Return the run, or the published package, and the spec of a row.

    Args:
        row: ``RUN/TRIAL_ID`` with a run as `lab.results.run_names` accepts it, or a trial id alone.
        results: The folder that contains ``runs``.

    Raises:
        UsageError: There is no such row.
        ResultsError: The plan that holds it is damaged.
    """
    where, _, trial_id = row.rpartition("/")
    if not TRIAL.fullmatch(trial_id):
        raise UsageError(f"{row!r} is not a row: write RUN/TRIAL_ID, an id of 16 hex digits.")
    folders = [run_names.find(where, results, say)] if where else readable_runs(results, say)
    for folder in folders:
        if spec := _spec(folder, trial_id, is_named=bool(where)):
            return folder, spec
    place = where or results / "runs"
    raise UsageError(f"{place} holds no trial {trial_id}: see the column trial_id of trial.csv.")


def _spec(folder: Path, trial_id: str, *, is_named: bool) -> TrialSpec | None:
    """Return the trial of a folder's plan, if any; skip a damaged plan unless the user named it."""
    try:
        trials = run_folder.parsed(folder).plan.trials
    except ResultsError as error:
        if is_named:
            raise
        say(f"Left out: {error}")
        return None
    return next((spec for spec in trials if spec.id == trial_id), None)


def differences(run: Path) -> list[str]:
    """Return the facts that differ between the run's environment and the present one."""
    store = Store(run)
    rows = store.read("environment")
    # The present facts of another environment are read for the new run, if its trial has one.
    rows = rows[~rows.key.astype(str).str.startswith(environment.OF_ENVIRONMENT)]
    then = {str(k): str(v) for k, v, s in zip(rows.key, rows.value, rows.stable, strict=True) if s}
    present = environment.fingerprint(redis_program.facts())[1]
    now = {row.key: row.value for row in present if row.stable}
    commit = str(store.campaign().git_commit)
    then, now = {**then, "lab.commit": commit}, {**now, "lab.commit": environment.git_state()[0]}
    return [
        f"{key}: {then.get(key) or 'unknown'} then, {now.get(key) or 'unknown'} now"
        for key in sorted({*then, *now})
        if then.get(key) != now.get(key)
    ]


def again(spec: TrialSpec, results: Path, watch: runner.ProgressListener, command: str) -> Store:
    """Run the trial as a separate campaign and return its store."""
    run = run_folder.Run(Plan((spec,), ()), run_names.REPRODUCED, spec.seed, 0, command)
    store = run_folder.create(results, run)
    runner.execute(store, run, watch)
    return store
