"""The two sides of a comparison: a run, a commit, or a backend within one run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lab.analysis.metrics.registry import CELL, last_attempts
from lab.console import say
from lab.core.errors import ResultsError, UnknownNameError, UsageError
from lab.core.model import Flag
from lab.host.repository import git_or_none
from lab.results.store import Store, runs

COMMIT = re.compile(r"[0-9a-f]{7,40}")
KEPT = [*CELL, "block", "plan_hash", "started_utc", "campaign_id"]
TRIAL_COLUMNS = ["trial_id", "attempt", "nominal_ns", "flag", *KEPT]


@dataclass(frozen=True, slots=True)
class Side:
    """Trials under one name.

    `numbers` has a row for each number of each usable trial: the columns of `metrics.CELL`, block,
    plan_hash, started_utc, run, trial_id, metric, value, unit. A size that was calibrated is the
    one that was asked for, in us: each run calibrates anew. `facts` are the stable facts of the
    fingerprint, `fingerprint_id` is its name.
    """

    name: str
    numbers: pd.DataFrame
    facts: dict[str, str]
    fingerprint_id: str


def find(name: str, results: Path, within: Path | None = None) -> Side:
    """Return what `name` means: a run folder or its name, a commit, or a backend of a run.

    Args:
        name: ``results/runs/RUN``, ``RUN``, a commit (at least 7 of its digits, or what git knows
            it by), or a label; what it means first counts.
        results: The folder that holds ``runs``.
        within: The run in which a backend is looked for; None means the latest.

    Raises:
        UsageError: It means nothing that was measured here.
    """
    known = runs(results, say)
    for folder in (Path(name), results / "runs" / name):
        if (folder / "campaign.csv").is_file():
            return _of_runs(folder.name, [folder])
    commit = name if COMMIT.fullmatch(name) else _commit(name)
    if commit and (measured := [run for run in known if _is_of(run, commit)]):
        return _of_runs(name, measured)
    latest = within or next(reversed(known), None)
    if latest is None:
        raise UsageError(f"{results / 'runs'} holds no run. Make one: lab bench")
    return _of_label(name, _of_runs(latest.name, [latest]))


def _commit(name: str) -> str:
    """Return the commit that git knows by a branch, a tag or ``HEAD~1``; empty if none."""
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return git_or_none(Path(), *asked) or ""


def _is_of(run: Path, commit: str) -> bool:
    """Tell whether a run was measured on a commit, and on nothing that differed from it."""
    row = Store(run).campaign()
    return str(row.git_commit).startswith(commit) and str(row.git_dirty) != "1"


def _of_runs(name: str, folders: list[Path]) -> Side:
    stores = [Store(folder) for folder in folders]
    for store in stores:
        store.check()
    environments = [store.read("environment") for store in stores]
    facts = [_stable(environment) for environment in environments]
    if any(fact != facts[0] for fact in facts):
        raise ResultsError(
            f"The runs of {name} were measured on different machines or software: name one run."
        )
    values = pd.concat([_values(store) for store in stores], ignore_index=True)
    return Side(name, values, facts[0], str(environments[0].fingerprint_id.iloc[0]))


def _stable(environment: pd.DataFrame) -> dict[str, str]:
    rows = environment[environment.stable == 1]
    return {str(key): str(value) for key, value in zip(rows.key, rows.value, strict=True)}


def _values(store: Store) -> pd.DataFrame:
    trials, numbers = store.read("trial"), store.read("metric")
    # A lower bound is no value: what lies above it nobody knows.
    usable = numbers[(numbers.is_valid == 1) & (numbers.bound == "")]
    table = usable.merge(last_attempts(trials)[TRIAL_COLUMNS], on=["trial_id", "attempt"])
    table = table[table.flag != Flag.INVALID]
    asked = table["size"].mask(table.nominal_ns > 0, table.nominal_ns // 1_000)
    wanted = [*KEPT, "trial_id", "metric", "value", "unit"]
    return table.assign(size=asked)[wanted].rename(columns={"campaign_id": "run"})


def _of_label(label: str, run: Side) -> Side:
    known = sorted(set(run.numbers.label))
    chosen = [name for name in known if label in {name, *_short_names(name)}]
    if not chosen:
        raise UnknownNameError(f"run, measured commit, or backend of {run.name}", label, known)
    if len(chosen) > 1:
        raise UsageError(f"{label!r} is several rows of {run.name}: choose of {', '.join(chosen)}.")
    rows = run.numbers[run.numbers.label == chosen[0]]
    return Side(chosen[0], rows.reset_index(drop=True), run.facts, run.fingerprint_id)


def _short_names(label: str) -> tuple[str, str]:
    """Return a label without its profile, and without its variant as well."""
    return label.partition("@")[0], label.partition("[")[0]


def differences(a: Side, b: Side) -> list[str]:
    """Name the facts of machine and software in which the two sides differ."""
    keys = sorted({*a.facts, *b.facts})
    return [
        f"{key}: {a.facts.get(key, 'unknown')} / {b.facts.get(key, 'unknown')}"
        for key in keys
        if a.facts.get(key) != b.facts.get(key)
    ]
