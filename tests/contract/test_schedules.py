"""Tests the contract of schedules for every variant with a scheduler, on real clusters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.core.model import Capability, Periodic
from lab.planning import registry
from lab.planning.compatibility import SCHEDULES
from lab.planning.phases import Phase
from lab.recording.ledger_reader import executions
from tests.contract import rescheduling
from tests.contract.exactly_once import assert_settings
from tests.contract.test_backends import LABELS, promised, remaining_processes
from tests.factories.trials import ask_beside, run, spec_of

PERIOD_S = 1.0
pytestmark = pytest.mark.slow


def schedulers(capabilities: frozenset[Capability]) -> Sequence[str]:
    """Return the labels with one of these capabilities whose schedulers support seconds."""
    return [
        label
        for label in LABELS
        if promised(label) & capabilities
        and registry.select(label).backend.finest_period_s <= PERIOD_S
    ]


def with_marks(label: str) -> Any:
    """Mark labels to run alone that start an interpreter per job, which uses a CPU second."""
    return pytest.param(label, marks=[pytest.mark.alone] * ("spawn" in label))


@pytest.mark.parametrize("label", [with_marks(label) for label in schedulers(SCHEDULES)])
def test_jobs_fire_at_every_occurrence(label: str, tmp_path: Path) -> None:
    """Every job fires with right answers; firings are not counted as duplicates."""
    result = run(tmp_path, spec_of(label, arrival=Periodic(2, 4, every_s=PERIOD_S)))
    row, occurrences = result.row, result.tables["firing"]
    assert (row.status, row.reason) == ("ok", "")
    assert_settings(result)
    assert (row.n_sent, row.n_done, row.n_duplicated) == (2, 2, 0)
    assert (row.n_wrong_answer, row.n_failed, row.n_unexpected, row.n_negative) == (0, 0, 0, 0)
    due = {(Phase.MEASURE.first_task + job, k) for job in range(2) for k in range(4)}
    assert set(zip(occurrences.job, occurrences.k, strict=True)) == due
    fired = occurrences[occurrences.outcome != "missed"]
    assert set(fired.job) == set(occurrences.job)
    assert (fired.started_ns > row.t_begin_ns).all()
    assert remaining_processes(row.trial_id) == []


@pytest.mark.parametrize("label", schedulers(frozenset({Capability.RESCHEDULE})))
def test_jobs_can_be_added_changed_and_removed_while_they_run(label: str, tmp_path: Path) -> None:
    """The new job uses its last schedule; the removed one fires at most once more."""
    # A separate seed, because the test above may run concurrently with the same jobs.
    spec = spec_of(label, arrival=Periodic(2, 4, every_s=PERIOD_S), seed=6)
    setup, site, output = ask_beside(tmp_path, spec, rescheduling)
    removed_ns, end_ns = map(int, output.split())
    firings = [record for path in site.ledger.glob("*.bin") for record in executions(path)[1]]
    first, second = (job.id for job in setup.jobs)
    period_ns = round(PERIOD_S * 1e9)
    late = [f for f in firings if f.task_id == first and f.started_ns > removed_ns + period_ns]
    assert end_ns > removed_ns + 2 * period_ns
    assert late == []
    assert len([f for f in firings if f.task_id == second]) >= 3
    assert remaining_processes(spec.id) == []
