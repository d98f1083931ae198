"""Names the server that holds the tasks of a system, with its persistence."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from lab.core.model import Service, Status

# The words of the recorded services (`trial.services`) -> names for readers.
NAMES = {
    Service.REDIS: "Redis",
    "valkey": "Valkey",
    Service.RABBITMQ: "RabbitMQ",
    Service.POSTGRES: "PostgreSQL",
    "dask scheduler": "Dask scheduler",
    Service.CRON: "cron",
}
SQLITE, NOTHING = "SQLite", "none"


@dataclass(frozen=True, slots=True)
class QueueServer:
    """The servers of a system: their names, and what the trials recorded about them."""

    name: str
    about: str


def server_of(label: str, trials: pd.DataFrame) -> QueueServer:
    """Return the servers of a label, from all its trials that ran."""
    ran = trials[trials["status"] != Status.SKIPPED]
    recorded = sorted({text for text in ran["services"].fillna("") if text})
    if not recorded:
        # A file is no server, so no trial records one.
        is_file = "sqlite" in label
        about = "SQLite, a file" if is_file else "none; tasks wait in the driver's process"
        return QueueServer(SQLITE if is_file else NOTHING, about)
    # In parentheses are the origin of the program, which says nothing here, and the persistence.
    texts = [re.sub(r" \((?:[^;)]*; )?([^)]*)\)", r", \1", text) for text in recorded]
    servers = list(dict.fromkeys(server for text in texts for server in text.split("; ")))
    words = (next((w for w in NAMES if server.startswith(w)), server) for server in servers)
    names = dict.fromkeys(NAMES.get(word, word) for word in words)
    return QueueServer(" and ".join(names), "; ".join(servers))
