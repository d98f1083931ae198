"""Reads the state of tasks from futures, for the backends whose handles are such objects."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from lab.core.outcomes import TaskState


def state_of(future: Future[Any]) -> TaskState:
    """Return the state of a future (docs of concurrent.futures, Future Objects)."""
    if not future.done():
        return TaskState.RUNNING if future.running() else TaskState.QUEUED
    failed = future.cancelled() or future.exception() is not None
    return TaskState.FAILED if failed else TaskState.FINISHED
