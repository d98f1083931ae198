"""Work on many items in several processes: the same results, the same order, the same errors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from lab.analysis import compute
from lab.analysis.parallel import mapped
from lab.report import page
from lab.results.store import Store
from tests.factories import campaigns
from tests.factories.campaigns import SMALL


def squared(number: int) -> tuple[int, int]:
    """Return the square, and who found it."""
    if number < 0:
        raise ValueError("a negative one")
    return number**2, os.getpid()


def test_results_keep_their_order_and_come_from_elsewhere() -> None:
    """What is asked for side by side is made in other processes, the rest in this one."""
    found = mapped(squared, range(200), side_by_side=True)
    assert [square for square, _ in found] == [n**2 for n in range(200)]
    assert os.getpid() not in {pid for _, pid in found}
    assert mapped(squared, [3], side_by_side=False) == [(9, os.getpid())]


def test_an_error_is_raised_here() -> None:
    """None of it stays in the other process."""
    with pytest.raises(ValueError, match="a negative one"):
        mapped(squared, [1, -1], side_by_side=True)


@pytest.mark.slow
def test_a_large_run_has_the_same_numbers_and_pictures_either_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte."""
    tables = campaigns.campaign(SMALL)
    alone, several = (made(tables, tmp_path / way / "run", monkeypatch) for way in ("a", "s"))
    assert several == alone
    assert {"metric.csv", "figures/latency.svg", "report.html"} <= set(alone)


def made(
    tables: Mapping[str, pd.DataFrame], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, bytes]:
    """Make all of a run that follows from its trials; return the files by name."""
    many = len(tables["trial"]) + (folder.parent.name == "a")
    monkeypatch.setattr(compute, "MANY_TRIALS", many)
    monkeypatch.setattr(page, "MANY_TRIALS", many)
    store = Store(campaigns.write(tables, folder))
    for trial in (folder / "trials").iterdir():
        store.write_parquet(trial, "sample", [])
    compute.derive(store)
    page.write(folder)
    files = (file for file in folder.rglob("*.*") if file.suffix != ".parquet" and file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}
