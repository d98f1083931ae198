"""Tests that arrays of a ledger have the rows that `lab.recording.ledger_reader` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lab.recording import ledger_reader, ledger_table
from lab.recording.ledger_reader import MAX_HOLE, PART_BYTES
from lab.worker.ledger import CANCELLED, MAGIC, OK, RAISED, ROW_BYTES, WORDS

PART = PART_BYTES // ROW_BYTES
EVERY_1000 = range(0, PART, 1_000)


def ledger(folder: Path, table: np.ndarray, end: bytes = b"") -> Path:
    """Write a ledger with these rows."""
    header = np.zeros(WORDS, np.int64)
    header[0] = MAGIC
    path = folder / "0-0-7-0.bin"
    path.write_bytes(header.tobytes() + table.astype(np.int64).tobytes() + end)
    return path


def rows_at(*places: int, n: int) -> np.ndarray:
    """Return `n` rows, of which those at `places` are filled with different numbers."""
    table = np.zeros((n, WORDS), np.int64)
    table[list(places)] = np.arange(1, len(places) * WORDS + 1).reshape(-1, WORDS)
    return table


@pytest.mark.parametrize(
    ("places", "n", "expected"),
    [
        ((), 5, 0),
        ((0, 1, 4), 5, 3),
        ((0, MAX_HOLE + 1), MAX_HOLE + 2, 2),
        ((0, MAX_HOLE + 2), MAX_HOLE + 3, 1),
        ((MAX_HOLE,), MAX_HOLE + 1, 1),
        ((MAX_HOLE + 1,), MAX_HOLE + 2, 0),
        # A hole that reaches over the end of a part.
        ((*EVERY_1000, 16_000 + MAX_HOLE + 1), 17_100, 18),
        ((*EVERY_1000, 16_000 + MAX_HOLE + 2), 17_100, 17),
        (EVERY_1000, 2 * PART, 17),
        ((*range(2 * PART - 3), 2 * PART + 3), 2 * PART + 4, 2 * PART - 2),
    ],
)
def test_rows_are_read_to_the_end_of_a_file(
    places: Sequence[int], n: int, expected: int, tmp_path: Path
) -> None:
    """Threads that were killed leave holes of at most `MAX_HOLE` rows."""
    path = ledger(tmp_path, rows_at(*places, n=n), end=b"half of a row")
    rows = ledger_table.rows(path)
    assert rows.tolist() == [list(row) for row in ledger_reader.read(path)[1]]
    assert len(rows) == expected


def test_a_file_without_a_complete_header_has_no_rows(tmp_path: Path) -> None:
    """Its writer was killed before it had written any."""
    path = ledger(tmp_path, rows_at(0, n=1))
    path.write_bytes(bytes(len(path.read_bytes())))
    assert ledger_table.rows(path).tolist() == [*ledger_reader.read(path)[1]] == []


def test_an_execution_without_an_end_is_unfinished(tmp_path: Path) -> None:
    """Neither an unpublished row nor an unknown outcome has an end."""
    table = rows_at(*range(6), n=6)
    *_, outcome, published = range(WORDS)
    table[:, outcome] = [OK, RAISED, CANCELLED, OK, 77, -3]
    table[:, published] = [1, 1, 1, 0, 1, 0]
    path = ledger(tmp_path, table)
    assert ledger_table.executions([ledger_table.rows(path)]).tolist() == [
        list(record) for record in ledger_reader.executions(path)[1]
    ]
