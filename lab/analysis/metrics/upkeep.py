"""Computes the costs of workers themselves: memory, idle use and start-up (METHOD M25)."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.metrics import idle, memory, startup
from lab.analysis.metrics.samples import Number

__all__ = ["numbers"]


def numbers() -> Iterator[Number]:
    """Yield every metric of these costs; lower is better for all of them."""
    yield from memory.numbers()
    yield from startup.numbers()
    yield from idle.numbers()
