"""Raises the contract's `TimeoutError` in place of a system's own exception."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def in_time(timeout_s: float, late: type[Exception]) -> Iterator[None]:
    """Wait in the block for a result, at most `timeout_s` seconds.

    Raises:
        TimeoutError: The call raised `late`, the exception of the system for a late result.
    """
    try:
        yield
    except late as error:
        raise TimeoutError(f"There was no result after {timeout_s} s.") from error
