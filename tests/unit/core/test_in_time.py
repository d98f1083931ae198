"""Tests that a late result is the same exception for each system."""

from __future__ import annotations

import pytest

from lab.core.in_time import in_time


class NoResultError(Exception):
    """Stands for the exception of a system."""


def test_the_exception_of_a_system_becomes_a_timeout() -> None:
    """It remains as the cause."""
    late = NoResultError("late")
    with pytest.raises(TimeoutError, match=r"There was no result after 0\.5 s\.") as raised:  # noqa: SIM117 (one raises in the other)
        with in_time(0.5, NoResultError):
            raise late
    assert raised.value.__cause__ is late


def test_other_exceptions_pass() -> None:
    """A task that raised is no late result."""
    with pytest.raises(ValueError, match="wrong"), in_time(0.5, NoResultError):
        raise ValueError("wrong")
