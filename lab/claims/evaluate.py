"""Evaluates the claims from the finished trials of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lab.claims.checks import Observation, TrialRecords
from lab.claims.claim import Claim
from lab.claims.criteria import CRITERIA, TrialSet
from lab.claims.published_claims import PUBLISHED
from lab.claims.result import LabelResult, judge_claim
from lab.core.backend import capabilities, services_of
from lab.core.model import Capability, Periodic
from lab.planning import registry
from lab.planning.phases import Phase
from lab.planning.plan import Plan, Skip
from lab.providers import PROVIDERS
from lab.recording.driver_status import read_status
from lab.recording.ledger_reader import read
from lab.results.schema import TrialRow
from lab.results.schema.metric import ClaimRow
from lab.results.store import Store

BackendClaims = Sequence[tuple[str, Claim]]


def select_claims(backends: Sequence[str], names: Sequence[str]) -> BackendClaims:
    """Return the claims of `names` about `backends`, as pairs of backend and claim."""
    return [(b, claim) for b in backends for claim in PUBLISHED[b].claims if claim.name in names]


def ways(backend: str, claim: Claim) -> list[registry.SelectedBackend]:
    """Return the variants on which a claim is tested; those that are not installed are left out."""
    chosen = [registry.select(label) for label in claim.ways or (backend,)]
    return [way for way in chosen if not registry.missing_package(way.backend, way.variant)]


def judge_all(store: Store, plan: Plan, claims: BackendClaims) -> list[ClaimRow]:
    """Evaluate each claim from the run's finished trials."""
    run = _RunEvidence(store, plan)
    return [_row(backend, claim, run) for backend, claim in claims]


def _row(backend: str, claim: Claim, run: _RunEvidence) -> ClaimRow:
    labels = claim.ways or (backend,)
    judgement = judge_claim(claim, [run.answer(backend, claim, label) for label in labels])
    return ClaimRow(
        backend=backend,
        claim=claim.name,
        statement=claim.statement,
        claimed=claim.mark,
        measured=judgement.here or "",
        verdict=judgement.sentence,
        evidence=judgement.why,
        trials=" ".join(judgement.trials),
    )


def last_rows(store: Store) -> dict[str, TrialRow]:
    """Return the row of each trial's last attempt; earlier attempts do not count."""
    trials = store.read("trial").sort_values("attempt")
    return {row.trial_id: row for row in (TrialRow(*v) for v in trials.itertuples(index=False))}


class _RunEvidence:
    """A run's plan and its finished trials, whose tables are read on demand."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self._store, self._plan = store, plan
        self._rows = last_rows(store)
        facts = store.read("environment").set_index("key").value
        # Threads run Python code in parallel only on a build without the GIL.
        gil = "with" if facts["python.gil"] == "1" else "without"
        name = f"{facts['python.implementation']} {facts['python.version']}"
        self._python = f"{name} {gil} the GIL"

    def answer(self, backend: str, claim: Claim, label: str) -> LabelResult:
        """Return the result of a claim's check for one label."""
        way = registry.select(label)
        is_installed = way == registry.select(backend)
        # Another variant than the default is itself the condition under which the claim holds.
        condition = claim.needs if is_installed else label
        criterion = CRITERIA[claim.criterion]
        if package := registry.missing_package(way.backend, way.variant):
            observation = Observation(None, f"the package {package!r} is not installed")
            return LabelResult(label, condition, observation)
        if lack := criterion.trials.lack(way.label):
            return LabelResult(label, condition, Observation(None, lack))
        for skip in self._plan.skips:
            if skip.spec.label == way.label and criterion.trials.includes(skip.spec):
                return LabelResult(
                    label, condition, Observation(_result_of_skip(skip, way), skip.reason)
                )
        rows = self._of(criterion.trials, way)
        ids = tuple(row.trial_id for row in rows)
        # For some criteria a trial that failed or timed out is the answer.
        troubles = [row.reason for row in rows if row.status not in criterion.ends]
        if not rows or troubles:
            reason = troubles[0] if troubles else "its trials were not run"
            return LabelResult(label, condition, Observation(None, reason), ids)
        return LabelResult(
            label, condition, criterion.judge([self._records(row) for row in rows]), ids
        )

    def _of(self, trials: TrialSet, way: registry.SelectedBackend) -> list[TrialRow]:
        specs = [s for s in self._plan.trials if s.label == way.label and trials.includes(s)]
        rows = [self._rows.get(spec.id) for spec in specs]
        finished = [row for row in rows if row]
        # A paired set ends as soon as it has enough pairs; any other needs all its trials.
        return finished if all(rows) or trials.is_done(finished) else []

    def _records(self, row: TrialRow) -> TrialRecords:
        folder = self._store.trial_folder(row.trial_id, row.attempt)
        tables = {"task": self._store.read("task", folder)}
        # Only a trial with a schedule has this table.
        if row.schedule:
            tables["firing"] = self._store.read("firing", folder)
        if row.fault:
            tables |= {name: self._store.read(name, folder) for name in ("outcome", "submit")}
        return records_of(row, tables, folder, self._python)


def records_of(
    row: TrialRow, tables: Mapping[str, pd.DataFrame], folder: Path, python: str
) -> TrialRecords:
    """Collect the input of the checks from the tables and the folder of a finished trial."""
    tasks = tables["task"]
    return TrialRecords(
        row=row,
        # Tasks of the warm-up are not among those that a criterion plans (METHOD M16).
        tasks=tasks[tasks.phase == Phase.MEASURE],
        occurrences=tables.get("firing", pd.DataFrame()),
        # From the lab's own record, because a backend need not report its submitter (METHOD M15).
        driver_pid=read(folder / "intents.bin")[0].pid,
        seen=read_status(folder).get("seen"),
        python=python,
        outcomes=_outcomes(tables) if row.fault else pd.DataFrame(),
    )


def _outcomes(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the outcome of each task of the window, with the result of its submit call."""
    submits = tables["submit"]
    acks = submits.loc[submits["phase"] == Phase.MEASURE, ["task_id", "ack"]]
    return tables["outcome"].merge(acks, on="task_id", how="left")


def _result_of_skip(skip: Skip, way: registry.SelectedBackend) -> bool | None:
    """Return False if the backend does not support the case, None if it cannot be tested here."""
    if skip.spec.fault is not None:
        return None  # the provider or the topology has no target
    offered = PROVIDERS[skip.spec.provider].offered()
    # A server that the provider cannot start here is no fault of the backend.
    lacks_server = set(services_of(way.backend, way.variant)) - offered
    takes_tasks = Capability.SUBMIT in capabilities(way.backend, way.variant)
    # A scheduler that accepts no tasks can be judged by its jobs only.
    is_tried = takes_tasks or isinstance(skip.spec.arrival, Periodic)
    return False if is_tried and not lacks_server else None
