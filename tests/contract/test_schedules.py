"""The contract of schedules, held by every variant that has a scheduler, through real clusters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.core.model import Capability, Periodic
from lab.planning import registry
from lab.planning.compatibility import SCHEDULES
from lab.planning.phases import FIRST_TASK
from lab.recording.ledger_reader import executions
from lab.worker.ledger import MEASURE
from tests.contract import rescheduling
from tests.contract.test_backends import LABELS, left_behind, promised
from tests.factories.trials import ask_beside, run, spec_of

PERIOD_S = 1.0
pytestmark = pytest.mark.slow


def keepers(capabilities: frozenset[Capability]) -> Sequence[str]:
    """List the labels that promise one of these, and whose scheduler knows seconds."""
    return [
        label
        for label in LABELS
        if promised(label) & capabilities
        and registry.select(label).backend.finest_period_s <= PERIOD_S
    ]


def in_time(label: str) -> Any:
    """Let what starts an interpreter for each job, a second of a CPU, run alone."""
    return pytest.param(label, marks=[pytest.mark.alone] * ("spawn" in label))


@pytest.mark.parametrize("label", [in_time(label) for label in keepers(SCHEDULES)])
def test_jobs_run_again_and_again(label: str, tmp_path: Path) -> None:
    """Every job runs and answers right; its occurrences are judged and no run is a duplicate."""
    made = run(tmp_path, spec_of(label, arrival=Periodic(2, 4, every_s=PERIOD_S)))
    row, occurrences = made.row, made.tables["occurrence"]
    assert (row.status, row.reason) == ("ok", "")
    assert (row.n_sent, row.n_done, row.n_duplicated) == (2, 2, 0)
    assert (row.n_corrupted, row.n_failed, row.n_phantom, row.n_negative) == (0, 0, 0, 0)
    owed = {(FIRST_TASK[MEASURE] + job, k) for job in range(2) for k in range(4)}
    assert set(zip(occurrences.job, occurrences.k, strict=True)) == owed
    ran = occurrences[occurrences.verdict != "missed"]
    assert set(ran.job) == set(occurrences.job)
    assert (ran.started_ns > row.t_begin_ns).all()
    assert left_behind(row.trial_id) == []


@pytest.mark.parametrize("label", keepers(frozenset({Capability.RESCHEDULE})))
def test_a_job_is_added_and_changed_and_another_removed_while_they_run(
    label: str, tmp_path: Path
) -> None:
    """The new job runs as it is told last, and the removed one stops, but for a run on its way."""
    # A trial of its own: the test above may run beside it, with the same system and jobs.
    spec = spec_of(label, arrival=Periodic(2, 4, every_s=PERIOD_S), seed=6)
    made, site, told = ask_beside(tmp_path, spec, rescheduling)
    removed_ns, over_ns = map(int, told.split())
    runs = [record for path in site.ledger.glob("*.bin") for record in executions(path)[1]]
    first, second = (job.id for job in made.jobs)
    period_ns = round(PERIOD_S * 1e9)
    late = [r for r in runs if r.task_id == first and r.started_ns > removed_ns + period_ns]
    assert over_ns > removed_ns + 2 * period_ns
    assert late == []
    assert len([r for r in runs if r.task_id == second]) >= 3
    assert left_behind(spec.id) == []
