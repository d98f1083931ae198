"""The run folder: the tables of `lab/results/schema` as files that survive a kill and a full disk.

CSV tables are appended to, one write a row; tables with a row a task are one Parquet file a trial.
The row in ``trial.csv`` is the commit point: it is written last, and a trial counts as finished
when it is there. One lab at a time may write a run; anybody may read it meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from lab.core import files
from lab.core.errors import ResultsError, UnknownNameError
from lab.results import formats
from lab.results.arrow_schema import (
    RESTORE,
    key_of,
    require_all_columns,
    require_known_version,
    schema,
)
from lab.results.formats import Columns
from lab.results.schema import CSV_TABLES, PARQUET_TABLES, TABLES, UNKEYED

_NAMES = {row_type: name for name, row_type in TABLES.items()}
REFERENCES = (  # table, its column, the table that must hold the value
    ("campaign", "fingerprint_id", "environment"),
    ("baseline", "campaign_id", "campaign"),
    ("trial", "campaign_id", "campaign"),
    ("trial", "fingerprint_id", "environment"),
    ("metric", "trial_id", "trial"),
)


class Store:
    """The tables of one run folder; its name is the campaign's id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known_sizes: dict[Path, int] = {}

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep every other lab from writing this run, until the end of the block or a kill.

        Raises:
            ResultsError: Another lab writes it, or a table may not be appended to.
        """
        lock = self.folder / "lock"
        with files.sentences(lock):
            self.folder.mkdir(parents=True, exist_ok=True)
            file = files.opened(lock, self.folder, os.O_WRONLY | os.O_CREAT)
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ResultsError(
                    f"Another lab is writing {self.folder}. Wait until it ends, or stop it."
                ) from error
            self._require_writable()
            yield

    def trial_folder(self, trial_id: str, attempt: int) -> Path:
        """Return where one attempt at one trial keeps its files.

        Raises:
            ResultsError: It would be outside the run: a folder on the way is a symbolic link.
        """
        folder = self.folder / "trials" / f"{trial_id}-{attempt}"
        files.require_inside(folder / "any", self.folder)
        return folder

    def append(self, row: Any) -> None:
        """Add one row to its CSV table: all of it is on the disk, or nothing.

        Raises:
            ResultsError: The disk is full, the row does not fit, or the file is not ours.
        """
        path = self._csv(_NAMES[type(row)])
        with files.sentences(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            descriptor = files.open_regular(path, self.folder, flags)
            try:
                size = self._mend(path, descriptor)
                data = formats.to_csv(path.stem, [row], path, header=size == 0)
                _write_all_or_nothing(descriptor, data, size)
            finally:
                os.close(descriptor)
            self._known_sizes[path] = size + len(data)
            if size == 0:
                files.sync_folder(self.folder)

    def replace(self, table: str, rows: formats.Rows) -> None:
        """Write a derived CSV table anew; a reader sees the old one or the new one.

        Raises:
            ResultsError: The disk is full, or a row does not fit.
        """
        path = self._csv(table)
        data = formats.to_csv(table, rows, path, header=True)
        with files.sentences(path):
            files.replace(path, data, self.folder)

    def write_parquet(self, folder: Path, table: str, rows: formats.Rows) -> None:
        """Write one trial's table into the trial's folder, whole or not at all.

        Raises:
            ResultsError: The disk is full, or a row does not fit.
        """
        path = folder / f"{_known(table, PARQUET_TABLES)}.parquet"
        data = formats.to_parquet(table, rows, path)
        with files.sentences(path):
            files.replace(path, data, self.folder)

    def read(self, table: str, folder: Path | None = None, columns: Columns = None) -> pd.DataFrame:
        """Read a table with the types of its dataclass; nulls are ``pd.NA``, never 0.

        `folder` names the trial of a Parquet table, `columns` what is wanted of it. Without both,
        all finished trials are read that have it; `attempt` says which attempt a row belongs to.

        Raises:
            ResultsError: The file is damaged, of another schema, or (one trial) not there.
        """
        if table in CSV_TABLES:
            self._require_known_version()
            path = self._csv(table)
            data = self._bytes_of(path) if files.is_there(path) else b""
            with files.sentences(path):
                return formats.from_csv(table, data, path)
        _known(table, PARQUET_TABLES)
        if folder is not None:
            path = folder / f"{table}.parquet"
            data = self._bytes_of(path)
            with files.sentences(path):
                return formats.from_parquet(table, data, path, columns)
        return self._read_all(table)

    def campaign(self) -> Any:
        """Return the row of the campaign.

        Raises:
            ResultsError: It is not there, or cannot be read.
        """
        rows = self.read("campaign")
        if len(rows) != 1:
            raise ResultsError(
                f"{self._csv('campaign')} holds {len(rows)} campaigns, not one. {RESTORE}"
            )
        return rows.iloc[0]

    def finished_trials(self) -> set[tuple[str, int]]:
        """Tell which trials are finished, as (trial_id, attempt): those with a row."""
        trials = self.read("trial")
        return {(str(t), int(a)) for t, a in zip(trials.trial_id, trials.attempt, strict=True)}

    def check(self) -> None:
        """Hold the keys: no two rows share one, and every reference leads to a row.

        Raises:
            ResultsError: A key occurs twice, or leads nowhere.
        """
        for table in CSV_TABLES:
            key = [name for name in key_of(table) if name in schema(table).names]
            rows = self.read(table)
            if table not in UNKEYED and (twice := rows[rows.duplicated(key)]).size:
                value = ", ".join(map(str, twice[key].iloc[0]))
                raise ResultsError(f"{self._csv(table)} holds the key {value} twice. {RESTORE}")
        for table, column, target in REFERENCES:
            lost = set(self.read(table)[column]) - set(self.read(target)[column]) - {""}
            if lost:
                where = f"{self._csv(table)}: {column} {min(lost)!r} is not in {target}.csv"
                raise ResultsError(f"{where}. {RESTORE}")

    def _read_all(self, table: str) -> pd.DataFrame:
        frames = [formats.from_csv(table, b"", self.folder)]
        frames[0].insert(1, "attempt", pd.Series(dtype="int64"))
        trials = self.read("trial")
        for trial_id, attempt in zip(trials.trial_id, trials.attempt, strict=True):
            folder = self.trial_folder(trial_id, attempt)
            if (folder / f"{table}.parquet").exists():  # a skipped trial has none
                frames.append(self.read(table, folder))
                frames[-1].insert(1, "attempt", attempt)
        return pd.concat(frames, ignore_index=True)

    def _csv(self, table: str) -> Path:
        return self.folder / f"{_known(table, CSV_TABLES)}.csv"

    def _require_writable(self) -> None:
        """Refuse before any trial runs what would refuse its row."""
        for path in filter(files.is_there, map(self._csv, CSV_TABLES)):
            with files.sentences(path):
                os.close(files.open_regular(path, self.folder, os.O_RDWR | os.O_APPEND))

    def _mend(self, path: Path, descriptor: int) -> int:
        """Cut off what a kill left of a row; return the size of the finished rows in bytes."""
        size = os.fstat(descriptor).st_size
        if size == self._known_sizes.get(path):
            return size
        self._require_known_version()
        data = self._bytes_of(path)
        if finished := formats.finished_size(path.stem, data, path):
            require_all_columns(formats.header_of(data), path.stem, path)
        if finished < size:
            warnings.warn(
                f"{path}: the last row was cut short by a kill; {size - finished} bytes removed.",
                stacklevel=3,
            )
            os.ftruncate(descriptor, finished)
        return finished

    def _require_known_version(self) -> None:
        path = self._csv("campaign")
        if path.exists():
            require_known_version(self._bytes_of(path), path)

    def _bytes_of(self, path: Path) -> bytes:
        with files.sentences(path, RESTORE.rstrip(".")):
            return files.read(path, self.folder)


def _known(table: str, known: tuple[str, ...]) -> str:
    if table not in known:
        raise UnknownNameError("table of this kind", table, known)
    return table


def _write_all_or_nothing(descriptor: int, data: bytes, size: int) -> None:
    """Append in one write and see it on the disk; else leave the file at `size` bytes."""
    try:
        fits = os.write(descriptor, data) == len(data)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    if not fits:
        os.ftruncate(descriptor, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def runs(results: Path, tell: Callable[[str], object]) -> list[Path]:
    """Return the run folders in `results`, the oldest first.

    A run that cannot be read is left out, and `tell` is given the sentence that names it.
    """
    readable = []
    for folder in sorted((results / "runs").glob("*")):
        if not files.is_there(folder / "campaign.csv"):
            continue
        try:
            Store(folder).campaign()
            readable.append(folder)
        except ResultsError as error:
            tell(f"Left out: {error}")
    return readable
