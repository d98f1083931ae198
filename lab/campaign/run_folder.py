"""Creates, opens and reads a run folder: the plan of a campaign and the options of its command."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.campaign import consent, feasible
from lab.core import files
from lab.core.errors import ResultsError, UsageError
from lab.core.serialization import checked, spec_from_json, spec_to_json
from lab.environments import facts as environment_facts
from lab.host import environment
from lab.planning.commands import with_function
from lab.planning.plan import Plan, Skip
from lab.planning.presets import LoadSweep
from lab.providers import PROVIDERS, redis_program
from lab.results import formats
from lab.results.arrow_schema import RESTORE, brief
from lab.results.schema import SCHEMA_VERSION
from lab.results.schema.campaign import CampaignRow
from lab.results.schema.machine import EnvironmentRow
from lab.results.store import Store

PLAN = "plan.json"
SHOWN = 3  # facts that differ, in a message
NOT_STARTED = "Then repeat the command; no trial has run yet"


@dataclass(frozen=True, slots=True)
class Run:
    """The plan and the options of a campaign, as ``plan.json`` contains them.

    reruns: how often an invalid trial runs again.
    command: the command line after `lab`.
    sweep: rules of a load sweep, by which the plan grows while it runs; None without one.
    precision: half the width of an interval as a share of its value, at which a cell needs no more
        trials (`lab.campaign.precision`); None: all blocks run.
    """

    plan: Plan
    preset: str
    seed: int
    reruns: int
    command: str
    sweep: LoadSweep | None = None
    precision: float | None = None


def create(results: Path, run: Run) -> Store:
    """Create a run folder with the plan.

    Raises:
        ResultsError: The folder cannot be written.
    """
    now = datetime.now(UTC)
    plan = _plan_to_json(run)
    # Sorted, so that the hash depends on the content and not on the order of fields.
    digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
    store = Store(results / "runs" / f"{now:%Y%m%dT%H%M%SZ}-{run.preset}-{digest[:4]}")
    with files.sentences(store.folder, NOT_STARTED):
        store.folder.mkdir(parents=True)
        try:
            _fill(store, run, digest, now)
        # Also after Ctrl-C: a folder without a complete plan is no run.
        except BaseException:
            shutil.rmtree(store.folder, ignore_errors=True)
            raise
    return store


def _fill(store: Store, run: Run, digest: str, now: datetime) -> None:
    """Write the first files of a run; ``campaign.csv``, which makes the folder a run, is last."""
    _write(store, PLAN, json.dumps(_plan_to_json(run), indent=1).encode())
    consent.prove(store.folder, workloads(run.plan))
    fingerprint_id, facts = _fingerprint(run.plan)
    commit, dirty = environment.git_state()
    campaign = CampaignRow(
        campaign_id=store.folder.name,
        schema_version=SCHEMA_VERSION,
        fingerprint_id=fingerprint_id,
        spec_hash=digest,
        git_commit=commit,
        git_dirty=dirty,
        started_utc=now.isoformat(timespec="seconds"),
        preset=run.preset,
        seed=run.seed,
        command=run.command,
    )
    for table, rows in (("environment", facts), ("campaign", [campaign])):
        path = store.folder / f"{table}.csv"
        _write(store, path.name, formats.to_csv(table, rows, path, header=True))


def _fingerprint(plan: Plan) -> tuple[str, list[EnvironmentRow]]:
    """Read the facts of the machine, its Redis server, and the environments of a plan."""
    of_environments = environment_facts.of_trials(plan.trials, PROVIDERS)
    return environment.fingerprint([*redis_program.facts(), *of_environments])


def _write(store: Store, name: str, data: bytes) -> None:
    files.replace(store.folder / name, data, store.folder)


def load(folder: Path, named: str = "") -> tuple[Store, Run]:
    """Open a run folder to continue it; `named` as for `read_plan`.

    Raises:
        UsageError: There is no such run, or a function of its plan may not be called.
        ResultsError: The plan cannot be read, or the machine, the software or the schema version
            has changed.
    """
    run = read_plan(folder, named, f"lab bench --resume {folder}")
    store = Store(folder)
    campaign = store.campaign()
    if (version := str(campaign.schema_version)) != SCHEMA_VERSION:
        raise ResultsError(
            f"{folder.name} has schema version {version}, and this lab writes {SCHEMA_VERSION}: "
            "continue it with the version of the lab that started it (commit "
            f"{campaign.git_commit or 'unknown'}), or start a new run."
        )
    now, facts = _fingerprint(run.plan)
    if str(campaign.fingerprint_id) != now:
        again = with_function(f"lab bench --like {folder.name}", workloads(run.plan))
        raise ResultsError(
            f"{folder.name} was measured with another machine or other software "
            f"({_changes(store, facts)}), and their trials must not be mixed. To measure its plan "
            f"in a new run: {again}"
        )
    return store, run


def _changes(store: Store, facts: Sequence[EnvironmentRow]) -> str:
    """List the stable facts that differ from those of a run, at most `SHOWN` of them."""
    table = store.read("environment")
    before = dict(zip(table["key"], map(str, table["value"]), strict=True))
    changed = [
        f"{fact.key}: {before.get(fact.key, '') or 'unknown'} / {fact.value or 'unknown'}"
        for fact in facts
        if fact.stable and before.get(fact.key, "") != fact.value
    ]
    more = len(changed) - SHOWN
    return ", ".join([*changed[:SHOWN], *([f"{more} more"] if more > 0 else [])])


def read_plan(folder: Path, named: str, again: str) -> Run:
    """Read a plan in order to run it.

    Args:
        folder: The run folder.
        named: The user's function on the command line, as a workload; empty if there is none.
        again: The command that reads the plan, for messages.

    Raises:
        UsageError: There is no such run, or a function of its plan may not be called.
        ResultsError: Its plan cannot be read, or has a number that is out of range.
    """
    if not files.is_there(folder / PLAN):
        raise UsageError(f"{folder} is not a run folder. Run folders are in results/runs.")
    run = parsed(folder)
    # Before the ranges: `registry.workload` takes names from files only after this check.
    consent.check(folder, workloads(run.plan), named, again)
    feasible.require_in_range(folder / PLAN, run.plan.trials)
    return run


def parsed(folder: Path) -> Run:
    """Read the plan of a run or a package as data, without a call to a function that it names.

    Raises:
        ResultsError: The plan is missing or damaged.
    """
    path = folder / PLAN
    with files.sentences(path, RESTORE.rstrip(".")):
        try:
            fields = files.read_json(path, folder)
            trials = tuple(map(spec_from_json, fields["trials"]))
            skips = tuple(Skip(spec_from_json(spec), str(why)) for spec, why in fields["skips"])
            rest = {name: fields[name] for name in ("preset", "seed", "reruns", "command")}
            # Plans of earlier versions lack the next two fields.
            rest["precision"] = fields.get("precision")
            rules = fields.get("ladder")
            sweep = rules and checked(
                LoadSweep,
                {name: value for name, value in rules.items() if name != "fractions"},
                fractions=tuple(float(share) for share in rules["fractions"]),
            )
            return checked(Run, rest, plan=Plan(trials, skips), sweep=sweep or None)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            why = brief(error) or type(error).__name__
            raise ResultsError(f"{path} is damaged: {why}. Start a new run.") from error


def workloads(plan: Plan) -> set[str]:
    """Return the names of the workloads of all trials, including the skipped ones."""
    return {spec.workload for spec in (*plan.trials, *(skip.spec for skip in plan.skips))}


def write_plan(store: Store, run: Run) -> None:
    """Replace the plan atomically: after a kill the file is the old or the new plan."""
    with files.sentences(store.folder / PLAN):
        _write(store, PLAN, json.dumps(_plan_to_json(run), indent=1).encode())


def _plan_to_json(run: Run) -> dict[str, Any]:
    return {
        "preset": run.preset,
        "seed": run.seed,
        "reruns": run.reruns,
        "command": run.command,
        "ladder": asdict(run.sweep) if run.sweep else None,
        "precision": run.precision,
        "trials": [spec_to_json(spec) for spec in run.plan.trials],
        "skips": [[spec_to_json(skip.spec), skip.reason] for skip in run.plan.skips],
    }
