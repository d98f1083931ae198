"""Runs one published row again on this machine, and says first what is not as it was."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lab import campaign, environment, runs
from lab.errors import ResultsError, UsageError
from lab.model import TrialSpec
from lab.plan import Plan
from lab.specs import spec_from_json
from lab.store import Store

# Ids are made by us; anything else, such as a path, is no row.
TRIAL = re.compile(r"[0-9a-f]{16}")


def find(row: str, results: Path) -> tuple[Path, TrialSpec]:
    """Return the run, or the published package, and the spec of a row.

    Args:
        row: ``FOLDER/TRIAL_ID``, ``RUN/TRIAL_ID`` of a run in `results`, or a trial's id alone.
        results: The folder that holds ``runs``.

    Raises:
        UsageError: There is no such row.
        ResultsError: The plan that holds it is damaged.
    """
    where, _, trial_id = row.rpartition("/")
    if not TRIAL.fullmatch(trial_id):
        raise UsageError(f"{row!r} names no row: write RUN/TRIAL_ID, 16 hex digits last.")
    runs = [Path(where), results / "runs" / where] if where else (results / "runs").glob("*")
    for run in runs:
        if (run / "plan.json").is_file() and (spec := _spec(run / "plan.json", trial_id)):
            return run, spec
    raise UsageError(f"No run {where or 'here'} holds the row {trial_id}: look into its trial.csv.")


def _spec(plan: Path, trial_id: str) -> TrialSpec | None:
    try:
        specs = map(spec_from_json, json.loads(plan.read_text(encoding="utf-8"))["trials"])
        return next((spec for spec in specs if spec.id == trial_id), None)
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{plan} is damaged; take it from the package again.") from error


def differences(run: Path) -> list[str]:
    """Name what differs between the machine and software of a run and what is here now."""
    store = Store(run)
    rows = store.read("environment")
    then = {str(k): str(v) for k, v, s in zip(rows.key, rows.value, rows.stable, strict=True) if s}
    now = {row.key: row.value for row in environment.fingerprint()[1] if row.stable}
    commit = str(store.read("campaign").iloc[0].git_commit)
    then, now = {**then, "lab.commit": commit}, {**now, "lab.commit": environment.git_state()[0]}
    return [
        f"{key}: {then.get(key) or 'unknown'} then, {now.get(key) or 'unknown'} now"
        for key in sorted({*then, *now})
        if then.get(key) != now.get(key)
    ]


def again(spec: TrialSpec, results: Path, watch: campaign.Watch, command: str) -> Store:
    """Run the row's trial as a campaign of its own and return that."""
    run = runs.Run(Plan((spec,), ()), "reproduce", spec.seed, 0, command)
    store = runs.create(results, run)
    campaign.execute(store, run, watch)
    return store
