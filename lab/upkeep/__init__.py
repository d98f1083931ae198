"""What a worker costs by being there: its memory, waiting, and starting (METHOD M25)."""

from __future__ import annotations

from collections.abc import Iterator

from lab.upkeep import idling, memory, starting
from lab.upkeep.readings import Number

__all__ = ["numbers"]


def numbers() -> Iterator[Number]:
    """Yield every number that a trial's samples tell of its workers; of all less is better."""
    yield from memory.numbers()
    yield from starting.numbers()
    yield from idling.numbers()
