"""Writes commands that repeat trials, with the options that name the user's function."""

from __future__ import annotations

from collections.abc import Iterable

from lab.worker import user_function


def with_function(command: str, workloads: Iterable[str]) -> str:
    """Return a command with the options that select the user's functions, if there are any.

    A stored run calls no function that the command line does not name, and a new run measures none.

    Args:
        command: A command that repeats trials, such as ``lab bench --like RUN``.
        workloads: The workloads of the trials; names of any other form add nothing.
    """
    functions = sorted(filter(user_function.is_user_function, set(workloads)))
    return " ".join([command, *map(user_function.options_of, functions)])
