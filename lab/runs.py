"""A run in its folder: the plan, and how it was asked for; made, opened again, and read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab import consent, environment
from lab.errors import ResultsError, UsageError
from lab.plan import Plan, Skip
from lab.presets import Ladder
from lab.specs import spec_from_json, spec_to_json
from lab.store import Store
from lab.tables import SCHEMA_VERSION, CampaignRow


@dataclass(frozen=True, slots=True)
class Run:
    """What a campaign was asked for, as it lies in its folder.

    With a `ladder` the plan grows while it runs, by rules that are part of it.
    """

    plan: Plan
    preset: str
    seed: int
    reruns: int
    command: str
    ladder: Ladder | None = None


def create(results: Path, run: Run) -> Store:
    """Make a new run folder that holds the plan.

    Raises:
        ResultsError: The folder cannot be written.
    """
    now = datetime.now(UTC)
    plan = _plan_to_json(run)
    digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
    store = Store(results / "runs" / f"{now:%Y%m%dT%H%M%SZ}-{run.preset}-{digest[:4]}")
    try:
        store.folder.mkdir(parents=True)
        write_plan(store, run)
        consent.prove(store.folder, workloads(run.plan))
    except OSError as error:
        raise ResultsError(f"{store.folder} cannot be written: {error.strerror}.") from error
    fingerprint_id, facts = environment.fingerprint()
    commit, dirty = environment.git_state()
    for fact in facts:
        store.append(fact)
    store.append(
        CampaignRow(
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
    )
    return store


def load(folder: Path, named: str = "") -> tuple[Store, Run]:
    """Open a run folder to go on with it; `named` as for `read_plan`.

    Raises:
        UsageError: There is no such run, or a function of its plan may not be called.
        ResultsError: Its plan cannot be read, or machine, software or schema version is another.
    """
    run = read_plan(folder, named, f"lab bench --resume {folder}")
    store = Store(folder)
    campaign = store.read("campaign").iloc[0]
    if (version := str(campaign.schema_version)) != SCHEMA_VERSION:
        raise ResultsError(
            f"{folder.name} was begun with schema version {version} and this lab writes "
            f"{SCHEMA_VERSION}: continue it with the lab that began it (commit "
            f"{campaign.git_commit or 'unknown'}), or start a new run."
        )
    before = str(campaign.fingerprint_id)
    if before != (now := environment.fingerprint()[0]):
        raise ResultsError(
            f"{folder.name} was begun on fingerprint {before} and this is {now}: machine or "
            "software differ, and their trials must not be mixed. Start a new run."
        )
    return store, run


def read_plan(folder: Path, named: str, again: str) -> Run:
    """Read a plan in order to run it.

    Args:
        folder: The run.
        named: The function that the command line names, as a workload; empty: none.
        again: The command that reads it, for messages.

    Raises:
        UsageError: There is no such run, or a function of its plan may not be called.
        ResultsError: Its plan cannot be read.
    """
    if not (folder / "plan.json").exists():
        raise UsageError(f"{folder} is no run folder. `lab report` lists the runs there are.")
    try:
        fields = json.loads((folder / "plan.json").read_text())
        trials = tuple(map(spec_from_json, fields["trials"]))
        skips = tuple(Skip(spec_from_json(spec), reason) for spec, reason in fields["skips"])
        rest: Any = {name: fields[name] for name in ("preset", "seed", "reruns", "command")}
        rules = fields.get("ladder")
        ladder = Ladder(**{**rules, "fractions": tuple(rules["fractions"])}) if rules else None
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{folder / 'plan.json'} is damaged; start a new run.") from error
    plan = Plan(trials, skips)
    consent.check(folder, workloads(plan), named, again)
    return Run(plan, **rest, ladder=ladder)


def workloads(plan: Plan) -> set[str]:
    """Return the names of the workloads of all trials, those that were skipped among them."""
    return {spec.workload for spec in (*plan.trials, *(skip.spec for skip in plan.skips))}


def write_plan(store: Store, run: Run) -> None:
    """Write the plan so that a kill leaves the old one or the new one."""
    new = store.folder / "plan.json.new"
    new.write_text(json.dumps(_plan_to_json(run), indent=1))
    new.replace(store.folder / "plan.json")


def _plan_to_json(run: Run) -> dict[str, Any]:
    return {
        "preset": run.preset,
        "seed": run.seed,
        "reruns": run.reruns,
        "command": run.command,
        "ladder": asdict(run.ladder) if run.ladder else None,
        "trials": [spec_to_json(spec) for spec in run.plan.trials],
        "skips": [[spec_to_json(skip.spec), skip.reason] for skip in run.plan.skips],
    }
