"""Divides a run into sides by a column of its cells, such as the environment."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from packaging.version import Version

from lab.analysis.statistics import RefusedError
from lab.comparison.inputs import Side
from lab.comparison.left_out import left_out, next_step
from lab.core.environment import SEPARATOR
from lab.core.errors import UnknownNameError
from lab.planning.commands import with_function

# The columns whose values run interleaved in one run.
COLUMNS = ("environment",)
# A command that measures two environments.
TWO = "lab bench --with 'celery==5.5.3' --with 'celery==5.6.0'"
# The name of the side with an empty value.
OF_THE_LAB = "the lab's own"


def values_of(column: str, run: Side) -> list[Side]:
    """Return a side for each value of a column of a run, in the order of their versions.

    Raises:
        RefusedError: The run has usable trials of fewer than two values.
    """
    values = sorted(set(run.numbers[column]), key=in_order)
    if len(values) < 2:  # noqa: PLR2004 (A and B)
        why = left_out(run.states)
        text = f"{run.name} has usable trials of fewer than two values of {column}"
        measured = {*values, *(run.disturbed[column] if len(run.disturbed) else ())}
        if (run.numbers.empty or len(measured) > 1) and why:
            raise RefusedError(f"{text}: {why}. {next_step(run.states, run.again)}".rstrip())
        raise RefusedError(
            f"{text}{f' ({why})' * bool(why)}. Measure two: "
            f"{with_function(TWO, run.numbers['workload'])}"
        )
    return [of_value(column, value, run) for value in values]


def of_value(column: str, value: str, run: Side) -> Side:
    """Return the trials of a run with one value of a column.

    Raises:
        UnknownNameError: The run has no usable trial with that value.
    """
    rows = run.numbers[run.numbers[column] == value]
    if rows.empty:
        raise UnknownNameError(f"{column} of {run.name}", value, set(run.numbers[column]))
    unusable = run.unusable[run.unusable[column] == value]
    # A run without disturbed trials has no columns there.
    shown = run.disturbed[run.disturbed[column] == value] if len(run.disturbed) else run.disturbed
    numbers, name = rows.reset_index(drop=True), value or OF_THE_LAB
    return replace(run, name=name, numbers=numbers, unusable=unusable, disturbed=shown)


def in_order(text: str) -> tuple[bool, list[Any]]:
    """Return a key that sorts 5.9 before 5.10, 5.10rc1 before 5.10, and releases before checkouts.

    Args:
        text: An environment, or a version.
    """
    return " @ " in text, [_key(part) for part in text.split(SEPARATOR)]


def _key(part: str) -> tuple[Any, ...]:
    name, _, version = part.rpartition("==")
    try:
        # A free-threaded build, such as 3.14t, follows the ordinary one.
        return name, False, Version(version.removesuffix("t")), version
    except ValueError:
        # The longer of two numbers is the larger one; a foreign run may have too long ones for int.
        numbers = [(each, each.lstrip("0")) for each in re.findall(r"[0-9]+|[^0-9]+", part)]
        return "", True, [(not each.isdigit(), len(short), each) for each, short in numbers]
