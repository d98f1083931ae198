"""Defines a task and a job, the work that an adapter hands to its system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Task:
    """One unit of work, as a backend receives it."""

    id: int
    function: str
    argument: Any

    @property
    def arguments(self) -> tuple[int, str, Any]:
        """The arguments of `execute`, in their order."""
        return self.id, self.function, self.argument


@dataclass(frozen=True, slots=True)
class Job:
    """A task that the backend's scheduler runs repeatedly, each time with the same `id`.

    Either `every_s` is its interval in seconds, or `cron` is a line of five fields in UTC.
    """

    id: int
    function: str
    argument: Any
    every_s: float = 0.0
    cron: str = ""

    @property
    def arguments(self) -> tuple[int, str, Any]:
        """The arguments of `execute` in each run, in their order."""
        return self.id, self.function, self.argument
