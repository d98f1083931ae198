"""Tests the answer that ranks systems among those that promise the same."""

from __future__ import annotations

import re
from dataclasses import replace

from lab.report.answers.contracts import among_equals
from tests.factories.campaigns import SYSTEMS, Campaign, campaign

FEW = tuple(s for s in SYSTEMS if s.variant in {"call", "executor", "worker"})
PLAN = Campaign(systems=FEW, blocks=6)


def test_systems_are_ranked_among_those_that_promise_the_same() -> None:
    """A pool is no alternative to a queue, and the profile decides about the contract."""
    tables = campaign(PLAN)
    pools, queues, *waits = (s.text for s in among_equals(tables))
    assert re.match(r"Pool, tasks per second, noop, 1 core, 1 worker: thread-pool \S+", pools)
    assert queues.startswith("At-most-once job queue, tasks per second, noop, 1 core, 1 worker: rq")
    assert [wait.split(",")[1] for wait in waits] == [" median wait", " median wait"]
    both = campaign(replace(PLAN, systems=(*FEW, *(s for s in SYSTEMS if s.backend == "celery"))))
    ranked_, *_ = (s for s in among_equals(both) if s.text.startswith("At-most-once"))
    assert [part.split()[0] for part in ranked_.parts] == [
        "celery[threads]",
        "celery[prefork]",
        "rq",
    ]
    safe = {
        name: frame.replace({"rq[worker]@default": "rq[worker]@safe"})
        for name, frame in tables.items()
    }
    assert any(s.text.startswith("At-least-once job queue") for s in among_equals(safe))
