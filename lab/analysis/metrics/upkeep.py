"""What a worker costs by being there: its memory, waiting, and starting (METHOD M25)."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.metrics import idle, memory, startup
from lab.analysis.metrics.samples import Number

__all__ = ["numbers"]


def numbers() -> Iterator[Number]:
    """Yield every number that a trial's samples tell of its workers; of all less is better."""
    yield from memory.numbers()
    yield from startup.numbers()
    yield from idle.numbers()
