"""Tests the reader of the tables of a package that have the rows of all trials."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.core.errors import ResultsError
from lab.results import formats, packages


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    """A package may come from another person; the file of a trial lacks the column `attempt`."""
    file = tmp_path / "fault.parquet"
    for content in (b"PAR1", formats.to_parquet("fault", [], file)):
        with pytest.raises(ResultsError, match=r"fault\.parquet is damaged"):
            packages.read("fault", content, file)
