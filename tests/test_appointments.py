"""Periodic trials through everything that a campaign uses, for every backend that schedules."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import registry
from lab.backend import capabilities
from lab.model import Periodic
from lab.plan import SCHEDULES
from tests.test_contract import LABELS, slow_where_it_is
from tests.trials import run, spec_of


def keeps_schedules(label: str) -> bool:
    """Tell whether a label's variant has a scheduler that knows seconds."""
    chosen = registry.select(label)
    promised = capabilities(chosen.backend, chosen.variant)
    return bool(promised & SCHEDULES) and chosen.backend.finest_period_s <= 1.0


@pytest.mark.parametrize(
    "label", [slow_where_it_is(label) for label in LABELS if keeps_schedules(label)]
)
def test_jobs_run_again_and_again(label: str, tmp_path: Path) -> None:
    """Every job runs and answers right; its occurrences are judged and no run is a duplicate."""
    made = run(tmp_path, spec_of(label, arrival=Periodic(2, 4, every_s=1.0)))
    assert (made.row.status, made.row.reason) == ("ok", "")
    assert (made.row.n_sent, made.row.n_done, made.row.n_duplicated) == (2, 2, 0)
    assert (made.row.n_corrupted, made.row.n_failed, made.row.n_phantom) == (0, 0, 0)
    occurrences = made.tables["occurrence"]
    assert set(zip(occurrences.job - occurrences.job.min(), occurrences.k, strict=True)) == {
        (job, k) for job in range(2) for k in range(4)
    }
    assert (occurrences.verdict != "missed").any()
