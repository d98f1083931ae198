"""The tables of a run folder as figures and sections ask for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from lab.analysis.metrics.registry import TASK_COLUMNS
from lab.core.errors import ResultsError
from lab.figures.history import of_run
from lab.results.schema import TABLES
from lab.results.store import Store

EARLIER = "earlier"


class RunTables(Mapping[str, pd.DataFrame]):
    """The tables of a run, each read when it is first asked for.

    `task/TRIAL_ID-ATTEMPT` is the window of one attempt at a trial. It is read anew whenever it is
    asked for, because all windows of a large run do not fit into memory. `earlier` are the headline
    numbers of the runs beside it.

    Raises:
        ResultsError: When a table is asked for that is damaged, or of another schema.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        table, _, attempt = name.partition("/")
        if attempt:
            tasks = self._store.read(table, self._store.folder / "trials" / attempt, TASK_COLUMNS)
            return tasks[tasks["phase"] == "measure"]
        if table not in self._known:
            self._known[table] = self._earlier() if table == EARLIER else self._store.read(table)
        return self._known[table]

    def _earlier(self) -> pd.DataFrame:
        """Return what the other runs beside this one measured, where their fingerprint is equal.

        A run that cannot be read is no part of it: it hides no other.
        """
        own, found = self["campaign"].iloc[-1], [of_run(self).head(0)]
        for file in sorted(self._store.folder.parent.glob("*/campaign.csv")):
            other = RunTables(Store(file.parent))
            try:
                run = other["campaign"].iloc[-1]
                if file.parent != self._store.folder and run.fingerprint_id == own.fingerprint_id:
                    found.append(of_run(other))
            except (ResultsError, IndexError):
                continue
        return pd.concat(found, ignore_index=True)

    def __iter__(self) -> Iterator[str]:
        return iter((*TABLES, EARLIER))

    def __len__(self) -> int:
        return len(TABLES) + 1
