"""Sends tasks through one table with three statements: the reference for backends on a database.

``python -m lab.backends.raw_sql`` is its worker; with the argument ``prepare`` it creates the
table.
"""

from __future__ import annotations

import os
import pickle
import sqlite3
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.core.backend import Backend, setup_from_environment
from lab.core.model import BackendContext, Capability, Command, Service, Task, Variant
from lab.core.outcomes import AckMeans, Contract
from lab.worker import execution

PREPARE = "prepare"
IDLE_S = 0.005
# Recommended in Django's notes on SQLite for writers in several processes.
SQLITE_PRAGMAS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL")
SQLITE_PATIENCE_S = 20.0
CREATE = "CREATE TABLE task (id INTEGER PRIMARY KEY, body {blob} NOT NULL, taken INTEGER NOT NULL)"
INSERT = "INSERT INTO task VALUES ({mark}, {mark}, 0)"
# Claimed rows remain until their task has run, as with django-q2's ORM broker, which it bounds.
CLAIM = (
    "UPDATE task SET taken = 1 WHERE id = (SELECT id FROM task WHERE taken = 0 ORDER BY id {lock} "
    "LIMIT 1) RETURNING id, body"
)
DELETE = "DELETE FROM task WHERE id = {mark}"
DIALECTS: Mapping[str, Mapping[str, str]] = {
    "sqlite": {"blob": "BLOB", "mark": "?", "lock": ""},
    # Without SKIP LOCKED, each claim would wait for the claim of another worker to commit.
    "postgres": {"blob": "BYTEA", "mark": "%s", "lock": "FOR UPDATE SKIP LOCKED"},
}
PROMISED = frozenset({Capability.SUBMIT, Capability.PARALLEL})


class RawSql(Backend):
    """Inserts each task as a row; a worker claims the row, runs the task, and deletes the row.

    Each statement is a separate transaction (METHOD M18, B6). Workers receive no notification of a
    new row; an idle worker polls every 5 ms.
    """

    family = "reference"
    summary = "insert, claim and delete a row: the reference for backends on a database"
    extra = "django-q"
    variants = (
        Variant(
            "sqlite",
            PROMISED,
            "SQLite by sqlite3, with a write-ahead log.",
            ack_means=AckMeans.ACCEPTED,
            contract=Contract.AT_MOST_ONCE,
        ),
        Variant(
            "postgres",
            PROMISED | {Capability.NODES},
            "PostgreSQL by psycopg; claims skip locked rows (PostgreSQL docs, SELECT).",
            services=(Service.POSTGRES,),
            packages=("psycopg",),
            ack_means=AckMeans.ON_DISK,
            contract=Contract.AT_MOST_ONCE,
        ),
    )

    def start(self) -> None:
        """Connect to the database."""
        self._database, self._dialect = _connect(self.setup)

    def submit(self, task: Task) -> None:
        """Insert the row."""
        body = pickle.dumps((task.id, task.function, task.argument))
        self._database.execute(INSERT.format_map(self._dialect), (task.id, body))

    def stop(self) -> None:
        """Close the connection."""
        self._database.close()

    @classmethod
    def preparation(cls, setup: BackendContext) -> Sequence[Command]:
        """Return the command that creates the table."""
        return [Command((sys.executable, "-m", __name__, PREPARE))]

    @classmethod
    def node_commands(cls, setup: BackendContext) -> Sequence[Command]:
        """Return one worker for each slot."""
        worker = Command((sys.executable, "-m", __name__), slots=1)
        return [worker] * setup.topology.workers_per_node


def _connect(setup: BackendContext) -> tuple[Any, Mapping[str, str]]:
    """Return a connection with one transaction per statement, and its SQL dialect."""
    dialect = DIALECTS[setup.variant]
    if setup.variant == "postgres":
        import psycopg

        return psycopg.connect(setup.endpoints[Service.POSTGRES], autocommit=True), dialect
    file = Path(os.environ["LAB_LEDGER"]).parent / "raw-sql.sqlite3"
    # By default, sqlite3 opens a transaction before an UPDATE and locks until a commit.
    database = sqlite3.connect(file, SQLITE_PATIENCE_S, isolation_level=None)
    for pragma in SQLITE_PRAGMAS:
        database.execute(pragma)
    return database, dialect


def serve(setup: BackendContext) -> None:
    """Claim, run and delete rows until this process is terminated."""
    database, dialect = _connect(setup)
    claim, delete = CLAIM.format_map(dialect), DELETE.format_map(dialect)
    while True:
        if (row := database.execute(claim).fetchone()) is None:
            time.sleep(IDLE_S)
            continue
        try:
            execution.execute(*pickle.loads(row[1]))  # noqa: S301 (a row of the driver, in the trial's database)
        except Exception:  # noqa: BLE001 (an exception of a task must not end its worker)
            traceback.print_exc()
        database.execute(delete, (row[0],))


def main() -> None:
    """Create the table, or serve as a worker."""
    setup = setup_from_environment()
    if PREPARE in sys.argv[1:]:
        database, dialect = _connect(setup)
        database.execute(CREATE.format_map(dialect))
    else:
        serve(setup)


if __name__ == "__main__":
    main()
