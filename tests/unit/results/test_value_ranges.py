"""Tests that impossible values in tables are refused with their file, column and row."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lab.cli.main import main
from lab.core.errors import ResultsError
from lab.results.arrow_schema import declared, schema
from lab.results.formats import from_csv, from_parquet, to_csv, to_parquet
from lab.results.store import Store
from tests.factories import campaigns
from tests.factories.rows import a_row

FILE = Path("the_file")
WRONG = [
    ("trial", "n_done", -5),
    ("trial", "nodes", 0),
    ("trial", "t_end_ns", 2**63 - 1),
    ("trial", "rate_hz", float("inf")),
    ("metric", "value", float("-inf")),
    ("metric", "is_valid", 2),
    ("estimate", "ci_level", 1.5),
    ("estimate", "nodes", 0),
    ("trend", "n_blocks", -1),
    ("environment", "stable", 7),
    ("baseline", "repeat", -1),
]


@pytest.mark.parametrize(("table", "column", "value"), WRONG)
def test_an_impossible_value_is_refused_with_its_row(table: str, column: str, value: float) -> None:
    """The rule is the same for CSV and Parquet, and the sentence states the range."""
    rows = [a_row(table), a_row(table, **{column: value})]
    for data, read in (
        (to_csv(table, rows, FILE, header=True), from_csv),
        (to_parquet(table, rows, FILE), from_parquet),
    ):
        with pytest.raises(ResultsError, match=rf"the_file.*'{column}' is .* in row 2, and must"):
            read(table, data, FILE)


def test_nan_in_a_file_is_refused() -> None:
    """The lab writes an empty cell instead of nan."""
    text = to_csv("metric", [a_row("metric")], FILE, header=True).replace(b"0.5", b"nan")
    with pytest.raises(ResultsError, match="'value' is nan in row 1, and must be a finite"):
        from_csv("metric", text, FILE)


def test_ranges_hold_the_fill_of_older_files() -> None:
    """The fill value of a column that an older file lacks is within the column's range."""
    for table in ("trial", "estimate", "metric"):
        for name, column in declared(table).items():
            if column["fill"] != "" and column["least"] is not None:
                assert column["fill"] >= column["least"], name


def test_a_table_that_would_fill_the_memory_is_refused_by_its_metadata() -> None:
    """Millions of equal rows fit into a file of some megabytes."""
    kind = schema("outcome")
    row = dict(zip(kind.names, ("x", 1, "ok", 1, 1, "", None, None, ""), strict=True))
    groups = pa.Table.from_pylist([row], kind)
    part = pa.concat_tables([groups] * 1_000).combine_chunks()
    part = pa.concat_tables([part] * 1_000).combine_chunks()
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, kind, compression="zstd") as writer:
        for _ in range(21):
            writer.write_table(part)
    with pytest.raises(ResultsError, match=r"has 21,000,000 rows .* it is not read"):
        from_parquet("outcome", sink.getvalue(), FILE)


SMALL = campaigns.Campaign(
    blocks=1, systems=campaigns.SYSTEMS[:1], workloads=("noop",), cores=(1,), rates_hz=()
)


@pytest.mark.parametrize("command", ["report", "compare", "publish"])
@pytest.mark.parametrize(("table", "column", "value"), [WRONG[0], WRONG[5], WRONG[9]])
def test_commands_refuse_a_run_with_an_impossible_value(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    table: str,
    column: str,
    value: Any,
) -> None:
    """Derived tables are checked like measured ones."""
    run = campaigns.write(campaigns.campaign(SMALL), tmp_path / "run")
    (run / "plan.json").write_text("{}")
    path = run / f"{table}.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame.loc[0, column] = str(value)
    frame.to_csv(path, index=False, lineterminator="\n")
    more = {"compare": [str(run)], "publish": ["--to", str(tmp_path / "to")]}.get(command, [])
    assert main([command, str(run), *more]) == 2
    assert f"column '{column}' is {value} in row 1" in " ".join(capsys.readouterr().err.split())
    assert Store(run).folder.exists()
