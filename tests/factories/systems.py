"""Defines synthetic backends by their cost per task, their scaling and their latency."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """A synthetic backend.

    cost_s: cost of a task, seconds.
    serial: serial share of its work, 0 to 1.
    latency_s: median latency, seconds.
    """

    backend: str
    variant: str
    family: str
    cost_s: float
    serial: float
    latency_s: float


SYSTEMS = (
    System("inline", "call", "reference", 0.4e-6, 1.0, 2e-6),
    System("null", "accept", "reference", 2e-6, 1.0, 8e-6),
    System("threading", "thread-per-task", "threads", 48e-6, 0.9, 90e-6),
    System("thread-pool", "executor", "threads", 11e-6, 0.95, 40e-6),
    System("asyncio", "event-loop", "asyncio", 14e-6, 1.0, 60e-6),
    System("process-pool", "fork", "processes", 95e-6, 0.35, 220e-6),
    System("process-pool", "forkserver", "processes", 99e-6, 0.35, 230e-6),
    System("process-pool", "spawn", "processes", 104e-6, 0.35, 240e-6),
    System("celery", "prefork", "celery", 1.1e-3, 0.3, 2.4e-3),
    System("celery", "threads", "celery", 0.9e-3, 0.8, 2.0e-3),
    System("rq", "spawn-worker", "rq", 9e-3, 0.1, 11e-3),
    System("rq", "worker", "rq", 1.9e-3, 0.12, 3.1e-3),
)
