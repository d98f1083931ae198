"""Reads the tables of a run folder on demand, for figures and sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from lab.analysis.metrics.registry import TASK_COLUMNS
from lab.core.errors import ResultsError
from lab.figures.history import of_run
from lab.planning.phases import Phase
from lab.results import formats
from lab.results.schema import TABLES
from lab.results.store import Store, has_table

EARLIER = "earlier"


class RunTables(Mapping[str, pd.DataFrame]):
    """Table name -> table of a run, which is read at the first access and then cached.

    `task/TRIAL_ID-ATTEMPT` is the window of one attempt at a trial, `outcome/TRIAL_ID-ATTEMPT` the
    outcomes of its tasks; they are not cached, because those of a large run do not fit into memory.
    `earlier` has the headline numbers of the other runs in the same folder.

    Raises:
        ResultsError: At the access of a table that is damaged, or of another schema.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._store = Store(folder)
        self._known: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        table, _, attempt = name.partition("/")
        if attempt:
            folder = self.folder / "trials" / attempt
            if table != "task":
                if has_table(folder, table):
                    return self._store.read(table, folder)
                return self._packaged(table, attempt)
            # Only the columns that figures use: a window of a large run has millions of rows.
            tasks = self._store.read(table, folder, TASK_COLUMNS)
            # The file also has the warm-up, which belongs to no number (METHOD M16).
            return tasks[tasks["phase"] == Phase.MEASURE]
        if table not in self._known:
            self._known[table] = self._earlier() if table == EARLIER else self._store.read(table)
        return self._known[table]

    def _packaged(self, table: str, attempt: str) -> pd.DataFrame:
        """Return the rows of one attempt from a published package; empty if it has none."""
        if not has_table(self.folder, table):
            # With its columns, so that no caller needs a special case.
            return formats.from_csv(table, b"", self.folder)
        rows = self[table]
        trial_id, _, number = attempt.rpartition("-")
        chosen = rows[(rows["trial_id"] == trial_id) & (rows["attempt"] == int(number))]
        return chosen.drop(columns="attempt")

    def _earlier(self) -> pd.DataFrame:
        """Return the headline numbers of other runs with the same fingerprint.

        Runs that cannot be read are left out.
        """
        current = self["campaign"].iloc[-1]
        # Without rows, but with columns: `concat` rejects an empty list if no other run exists.
        parts = [of_run(self).head(0)]
        for file in sorted(self.folder.parent.glob("*/campaign.csv")):
            other = RunTables(file.parent)
            try:
                run = other["campaign"].iloc[-1]
                # Another machine or other packages are another series (METHOD M30).
                is_same = run.fingerprint_id == current.fingerprint_id
                if file.parent != self.folder and is_same:
                    parts.append(of_run(other))
            # A damaged run must not prevent the page of another; an empty table: IndexError.
            except (ResultsError, IndexError):
                continue
        return pd.concat(parts, ignore_index=True)

    def __iter__(self) -> Iterator[str]:
        return iter((*TABLES, EARLIER))

    def __len__(self) -> int:
        return len(TABLES) + 1
