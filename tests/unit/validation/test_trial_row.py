"""Tests that each attempt at a trial with a fault has a table of hits, also one without a hit."""

from __future__ import annotations

from pathlib import Path

from lab.core.faults import Fault, FaultKind
from lab.results.store import Store
from lab.running import trial
from lab.validation.trial_row import collect
from tests.factories.trials import CONTEXT, spec_of


def test_a_trial_whose_lab_was_killed_has_an_empty_table_of_hits(tmp_path: Path) -> None:
    """The metrics of its run are computed from this table."""
    store = Store(tmp_path)
    spec = spec_of("celery", fault=Fault(FaultKind.WORKER_PAUSE))
    folder = store.trial_folder(spec.id, 1)
    folder.mkdir(parents=True)
    result = collect(trial.killed(spec, 1, folder), CONTEXT)
    for table, rows in result.tables.items():
        store.write_parquet(folder, table, rows)
    assert store.read("fault", folder).empty


def test_a_trial_without_a_fault_has_no_table_of_hits(tmp_path: Path) -> None:
    """An old run and a new one have the same files."""
    folder = tmp_path / "trial"
    folder.mkdir()
    assert "fault" not in collect(trial.killed(spec_of("celery"), 1, folder), CONTEXT).tables
