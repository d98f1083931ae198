"""Reads a table of a published package: one Parquet file with the rows of all trials."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from lab.core.errors import ResultsError
from lab.results import formats
from lab.results.arrow_schema import RESTORE, brief

# The column that such a file has beside those of its table, after `trial_id`.
ATTEMPT = "attempt"


def read(table: str, data: bytes, origin: Path) -> pd.DataFrame:
    """Read the file of a table into the table's exact types, with the column `attempt`.

    Raises:
        ResultsError: The file is damaged, too large, or not of this table.
    """
    try:
        file = pa_parquet.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        formats.require_size(file.metadata, origin)
        rows = file.read()
        attempts = rows[ATTEMPT].cast(pa.int64()).to_pandas().astype("int64")
        sink = pa.BufferOutputStream()
        pa_parquet.write_table(rows.drop_columns([ATTEMPT]), sink)
    except MemoryError:  # Arrow's too: the file may be sound
        raise
    except (*formats.UNFIT, KeyError) as error:
        raise ResultsError(f"{origin} is damaged: {brief(error)}. {RESTORE}") from error
    # Written again without the column, it passes the same checks as the file of a trial.
    frame = formats.from_parquet(table, bytes(sink.getvalue()), origin)
    frame.insert(1, ATTEMPT, attempts)
    return frame
