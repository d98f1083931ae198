"""Tests that parallel computation has the same results, order and errors as a loop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from lab.analysis import compute
from lab.analysis.parallel import parallel_map
from lab.report import page
from lab.report.run_tables import RunTables
from lab.results.store import Store
from tests.factories import campaigns
from tests.factories.campaigns import SMALL


def squared(number: int) -> tuple[int, int]:
    """Return the square, and the id of the process that computed it."""
    if number < 0:
        raise ValueError("a negative number")
    return number**2, os.getpid()


def test_results_have_their_order_and_come_from_other_processes() -> None:
    """Parallel results come from other processes, the others from this one."""
    results = parallel_map(squared, range(200), side_by_side=True)
    assert [square for square, _ in results] == [n**2 for n in range(200)]
    assert os.getpid() not in {pid for _, pid in results}
    assert parallel_map(squared, [3], side_by_side=False) == [(9, os.getpid())]


def test_an_error_of_another_process_is_raised_here() -> None:
    """The exception of an item is raised in the calling process."""
    with pytest.raises(ValueError, match="a negative number"):
        parallel_map(squared, [1, -1], side_by_side=True)


@pytest.mark.slow
def test_a_run_has_the_same_files_with_and_without_parallel_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables, figures and the report are equal to the byte."""
    tables = campaigns.campaign(SMALL)
    alone, parallel = (derived(tables, tmp_path / way / "run", monkeypatch) for way in ("a", "p"))
    assert parallel == alone
    assert {"metric.csv", "figures/latency.svg", "report.html"} <= set(alone)


def derived(
    tables: Mapping[str, pd.DataFrame], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, bytes]:
    """Compute all derived files of a run, and return their contents by name."""
    many = len(tables["trial"]) + (folder.parent.name == "a")
    monkeypatch.setattr(compute, "MANY_TRIALS", many)
    monkeypatch.setattr(page, "MANY_TRIALS", many)
    store = Store(campaigns.write(tables, folder))
    for trial in (folder / "trials").iterdir():
        store.write_parquet(trial, "sample", [])
    compute.compute(store)
    page.write(RunTables(folder))
    files = (file for file in folder.rglob("*.*") if file.suffix != ".parquet" and file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}
