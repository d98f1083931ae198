"""Reads the rows of ledgers and journals into arrays, for the tables of a trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lab.core import files
from lab.recording.ledger_reader import MAX_HOLE, PART_BYTES, UNFINISHED, Execution, header
from lab.worker.ledger import CANCELLED, MAGIC, OK, RAISED, ROW_BYTES, WORDS

LedgerRows = npt.NDArray[np.int64]
NO_ROWS: LedgerRows = np.empty((0, WORDS), np.int64)
STARTED, ENDED, ANSWER, OUTCOME, PUBLISHED = (
    Execution._fields.index(name)
    for name in ("started_ns", "finished_ns", "answer", "outcome", "published")
)


def rows(path: Path) -> LedgerRows:
    """Return the rows of a ledger or journal in the order taken, shape (rows, `WORDS`).

    They are the rows that `lab.recording.ledger_reader.read` yields. A file without a complete
    header has none.
    """
    if header(path).magic != MAGIC:
        return NO_ROWS
    parts, hole = [NO_ROWS], 0
    with files.opened(path, path.parent) as file:
        file.seek(ROW_BYTES)
        while hole <= MAX_HOLE and (part := file.read(PART_BYTES)):
            # A damaged file may end within a row.
            words = np.frombuffer(part[: len(part) // ROW_BYTES * ROW_BYTES], np.int64)
            table = words.reshape(-1, WORDS)
            # The first word of both kinds of rows that is set is that of an instant.
            filled = np.flatnonzero(table[:, STARTED])
            edges = np.concatenate([[-1 - hole], filled, [len(table)]])
            holes = np.diff(edges) - 1
            too_long = np.flatnonzero(holes > MAX_HOLE)
            n = int(too_long[0]) if len(too_long) else len(filled)
            parts.append(table[filled[:n]])
            hole = int(holes[n])
    return np.concatenate(parts)


def executions(parts: Sequence[LedgerRows]) -> LedgerRows:
    """Return the rows of several ledgers, one after the other; columns are those of `Execution`.

    An execution that was killed before its end is unfinished.
    """
    table = np.concatenate([NO_ROWS, *parts])
    # An unpublished row may contain a part of its finish, and a damaged row any numbers.
    has_ended = np.isin(table[:, OUTCOME], (OK, RAISED, CANCELLED)) & (table[:, PUBLISHED] != 0)
    for column, value in ((ENDED, 0), (ANSWER, 0), (OUTCOME, UNFINISHED)):
        table[~has_ended, column] = value
    return table
