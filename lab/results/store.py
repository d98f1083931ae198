"""Stores the tables of a run in its folder, as files that survive a kill and a full disk.

CSV tables grow by one write per row; tables with a row per task are one Parquet file per trial.
The row in ``trial.csv`` is written last, and makes a trial finished. One lab at a time may write a
run; others may read it at the same time.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from lab.core import files
from lab.core.errors import ResultsError, UnknownNameError
from lab.results import convert_1, formats, lock, packages
from lab.results.arrow_schema import (
    RESTORE,
    key_of,
    require_all_columns,
    require_known_version,
)
from lab.results.formats import Columns
from lab.results.schema import CSV_TABLES, PARQUET_TABLES, SCHEMA_VERSION, TABLES

_NAMES = {row_type: name for name, row_type in TABLES.items()}
REFERENCES = (  # table, its column, the table that must hold the value
    ("campaign", "fingerprint_id", "environment"),
    ("baseline", "campaign_id", "campaign"),
    ("trial", "campaign_id", "campaign"),
    ("trial", "fingerprint_id", "environment"),
    ("metric", "trial_id", "trial"),
)


class Store:
    """The tables of one run folder; the name of the folder is the campaign's id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known_sizes: dict[Path, int] = {}

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Lock this run against writes of other labs, until the end of the block or a kill.

        Raises:
            ResultsError: Another lab writes the run, or a table is not writable.
        """
        with lock.locked(self.folder):
            self._require_writable()
            yield

    def trial_folder(self, trial_id: str, attempt: int) -> Path:
        """Return the folder of one attempt at one trial.

        Raises:
            ResultsError: A symbolic link leads out of the run.
        """
        folder = self.folder / "trials" / f"{trial_id}-{attempt}"
        files.require_inside(folder / "any", self.folder)
        return folder

    def append(self, row: Any) -> None:
        """Append one row to its CSV table; the whole row is on the disk afterwards, or nothing.

        Raises:
            ResultsError: The disk is full, the row does not match the schema, or the file is not a
                regular file of this run.
        """
        path = self._csv(_NAMES[type(row)])
        with files.sentences(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            descriptor = files.open_regular(path, self.folder, flags)
            try:
                size = self._remove_incomplete_row(path, descriptor)
                data = formats.to_csv(path.stem, [row], path, header=size == 0)
                _write_all_or_nothing(descriptor, data, size)
            finally:
                os.close(descriptor)
            self._known_sizes[path] = size + len(data)
            if size == 0:
                # The sync of a new file does not include its entry in the folder (fsync(2)).
                files.sync_folder(self.folder)

    def replace(self, table: str, rows: formats.Rows) -> None:
        """Replace a derived CSV table; a reader sees the old or the new table.

        Raises:
            ResultsError: The disk is full, or a row does not match the schema.
        """
        path = self._csv(table)
        data = formats.to_csv(table, rows, path, header=True)
        with files.sentences(path):
            files.replace(path, data, self.folder)

    def write_parquet(self, folder: Path, table: str, rows: formats.Rows) -> None:
        """Write a Parquet table to a trial's folder; the whole file is there afterwards, or none.

        Raises:
            ResultsError: The disk is full, or a row does not match the schema.
        """
        path = folder / f"{_known(table, PARQUET_TABLES)}.parquet"
        data = formats.to_parquet(table, rows, path)
        with files.sentences(path):
            files.replace(path, data, self.folder)

    def read(self, table: str, folder: Path | None = None, columns: Columns = None) -> pd.DataFrame:
        """Read a table with the types of its dataclass; nulls are ``pd.NA``, never 0.

        Args:
            table: Name of the table.
            folder: Folder of one trial, for a Parquet table; None: all finished trials, with an
                additional column `attempt`.
            columns: Columns to read from the folder's file; None means all.

        Raises:
            ResultsError: The file is damaged or has another schema, or the file of a trial does
                not exist.
        """
        if table in CSV_TABLES:
            version = self._known_version()
            path = self._csv(table)
            data = self._bytes_of(path) if files.is_there(path) else b""
            with files.sentences(path):
                return formats.from_csv(table, data, path, version)
        _known(table, PARQUET_TABLES)
        if folder is not None:
            path = _parquet(folder, table)
            data = self._bytes_of(path)
            with files.sentences(path):
                return formats.from_parquet(table, data, path, columns)
        return self._read_all(table)

    def campaign(self) -> Any:
        """Return the row of the campaign.

        Raises:
            ResultsError: The row does not exist or cannot be read.
        """
        rows = self.read("campaign")
        if len(rows) != 1:
            raise ResultsError(
                f"{self._csv('campaign')} has {len(rows)} rows, and must have one. {RESTORE}"
            )
        return rows.iloc[0]

    def finished_trials(self) -> set[tuple[str, int]]:
        """Return the finished trials, as (trial_id, attempt): those with a row."""
        trials = self.read("trial")
        return {(str(t), int(a)) for t, a in zip(trials.trial_id, trials.attempt, strict=True)}

    def check(self) -> None:
        """Check the keys of all CSV tables: they are unique, and each reference has its row.

        Raises:
            ResultsError: A key occurs twice, or a reference has no row.
        """
        tables = {table: self.read(table) for table in CSV_TABLES}
        for table, rows in tables.items():
            key = key_of(table)
            if (twice := rows[rows.duplicated(key)]).size:
                value = ", ".join(map(str, twice[key].iloc[0]))
                raise ResultsError(f"{self._csv(table)} has the key {value} twice. {RESTORE}")
        for table, column, target in REFERENCES:
            lost = {*tables[table][column]} - {*tables[target][column]} - {""}
            if lost:
                where = f"{self._csv(table)}: {column} {min(lost)!r} is not in {target}.csv"
                raise ResultsError(f"{where}. {RESTORE}")

    def _read_all(self, table: str) -> pd.DataFrame:
        if files.is_there(packed := _parquet(self.folder, table)):  # of a published package
            with files.sentences(packed):
                return packages.read(table, self._bytes_of(packed), packed)
        # The empty table gives columns and types where no trial is finished.
        frames = [formats.from_csv(table, b"", self.folder)]
        frames[0].insert(1, "attempt", pd.Series(dtype="int64"))
        trials = self.read("trial")
        for trial_id, attempt in zip(trials.trial_id, trials.attempt, strict=True):
            folder = self.trial_folder(trial_id, attempt)
            if has_table(folder, table):  # a skipped trial has none
                frames.append(self.read(table, folder))
                frames[-1].insert(1, "attempt", attempt)
        return pd.concat(frames, ignore_index=True)

    def _csv(self, table: str) -> Path:
        return self.folder / f"{_known(table, CSV_TABLES)}.csv"

    def _require_writable(self) -> None:
        """Check before the first trial that rows can be appended to all CSV tables."""
        for path in filter(files.is_there, map(self._csv, CSV_TABLES)):
            with files.sentences(path):
                os.close(files.open_regular(path, self.folder, os.O_RDWR | os.O_APPEND))

    def _remove_incomplete_row(self, path: Path, descriptor: int) -> int:
        """Remove an incomplete last row; return the size of the complete rows in bytes."""
        size = os.fstat(descriptor).st_size
        # This lab wrote the last row, so the file is not read again for each row.
        if size == self._known_sizes.get(path):
            return size
        version = self._known_version()
        if convert_1.is_of(version):
            raise ResultsError(
                f"{self.folder} has schema version {version}: continue the run with the version of "
                "the lab that started it, or start a new run."
            )
        data = self._bytes_of(path)
        if finished := formats.finished_size(path.stem, data, path):
            # Rows of two minor versions never share a file, because it has one header.
            require_all_columns(formats.header_of(data), path.stem, path)
        if finished < size:
            warnings.warn(
                f"{path}: the last row was cut short by a kill; {size - finished} bytes removed.",
                stacklevel=3,
            )
            os.ftruncate(descriptor, finished)
        return finished

    def _known_version(self) -> str:
        """Return the schema version of the run, if this lab reads it."""
        path = self._csv("campaign")
        version = require_known_version(self._bytes_of(path), path) if path.exists() else ""
        return version or SCHEMA_VERSION

    def _bytes_of(self, path: Path) -> bytes:
        with files.sentences(path, RESTORE.rstrip(".")):
            return files.read(path, self.folder)


def has_table(folder: Path, table: str) -> bool:
    """Return whether the folder of a trial has a Parquet table."""
    return _parquet(folder, table).exists()


def _parquet(folder: Path, table: str) -> Path:
    """Return the file of a Parquet table; runs of schema major 1 may have another name for it."""
    # Files of major 1 are converted when they are read and never renamed.
    former = folder / f"{convert_1.FORMER_TABLES.get(table, table)}.parquet"
    return former if former.exists() else folder / f"{table}.parquet"


def _known(table: str, known: tuple[str, ...]) -> str:
    if table not in known:
        raise UnknownNameError("table of this kind", table, known)
    return table


def _write_all_or_nothing(descriptor: int, data: bytes, size: int) -> None:
    """Append data and sync it to the disk; if that fails, truncate the file to `size` bytes."""
    try:
        # A disk that becomes full may write a part of the data without an error.
        fits = os.write(descriptor, data) == len(data)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    if not fits:
        os.ftruncate(descriptor, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def list_runs(results: Path, warn: Callable[[str], object]) -> list[Path]:
    """Return the run folders in `results`, the oldest first.

    A run that cannot be read is left out, with a sentence passed to `warn`.
    """
    readable = []
    for folder in sorted((results / "runs").glob("*")):
        # It is written last and by one rename: a folder without it is an unfinished attempt.
        if not files.is_there(folder / "campaign.csv"):
            continue
        try:
            # One damaged run must not hide the others from a command that reads many.
            Store(folder).campaign()
            readable.append(folder)
        except ResultsError as error:
            warn(f"Left out: {error}")
    return readable
