"""Tests the tables of an attempt: the hits of a fault, and a duration that is uncertain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from lab.core.faults import Fault, FaultKind
from lab.results.store import Store
from lab.running import trial
from lab.running.task_faults import missed
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


def test_an_instant_beside_a_hit_that_missed_is_stored_exactly(tmp_path: Path) -> None:
    """A poison task that breaks the pool leaves later ones unstarted: their instants are absent."""
    store, instant_ns = Store(tmp_path), 2**53 + 1  # the first integer that a float rounds
    spec = spec_of("process-pool", fault=Fault(FaultKind.POISON, hits=2))
    folder = store.trial_folder(spec.id, 1)
    folder.mkdir(parents=True)
    killed = trial.killed(spec, 1, folder)
    rows = [missed(spec, hit, 1, "task did not start") for hit in range(2)]
    killed.hits = [replace(rows[0], injected_ns=instant_ns), rows[1]]
    store.write_parquet(folder, "fault", collect(killed, CONTEXT).tables["fault"])
    first, second = store.read("fault", folder)["injected_ns"]
    assert first == instant_ns
    assert second is pd.NA


def test_the_row_of_an_uncertain_duration_has_none(tmp_path: Path) -> None:
    """The plan has it, and no bound or overhead comes from it (METHOD M17)."""
    spec = spec_of("thread-pool", "cpu", size=2_000)
    for is_uncertain, expected in ((False, 2_000_000), (True, 0)):
        killed = trial.killed(replace(spec, is_uncertain=is_uncertain), 1, tmp_path)
        assert collect(killed, CONTEXT).row.nominal_ns == expected
