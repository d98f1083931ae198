"""Prepares environments of processes of this machine, and returns the interpreter of each trial.

Its functions `require`, `prepare`, `folder_of` and `output_of` are those of
`lab.core.environment_provider.Environments`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from lab.core.environment import Environment
from lab.core.model import TrialSpec
from lab.environments import cache, interpreters, requirements
from lab.environments.installation import python_of
from lab.environments.recipe import Recipe
from lab.host import child_environment, programs

DEADLINE_S = 60.0


class Interpreter(NamedTuple):
    """The interpreter of a trial; `folder` is None for that of the lab."""

    python: str
    folder: Path | None = None


def require(python: str) -> None:
    """Check that this machine has a version of Python.

    Raises:
        UsageError: It has not, or the version is too old.
    """
    interpreters.find(python)


def prepare(specs: Iterable[TrialSpec], say: Callable[[str], None]) -> None:
    """Create the environments of trials that do not exist yet.

    Raises:
        UsageError: One cannot exist: no such version or interpreter, no wheel, or a conflict.
        LabError: uv failed.
    """
    for label, text in sorted({(spec.label, spec.environment) for spec in specs}):
        if text and not cache.is_complete(cache.folder_of(recipe_of(label, text))):
            say(f"Creating environment {text} for {label}: up to a minute, the first time.")
        of_trial(label, text)


@functools.cache
def of_trial(label: str, text: str) -> Interpreter:
    """Return the interpreter of a label in an environment, which is created if it is missing."""
    if not text:
        return Interpreter(sys.executable)
    folder = cache.create(recipe_of(label, text), text)
    return Interpreter(str(python_of(folder)), folder)


@functools.cache
def recipe_of(label: str, text: str) -> Recipe:
    """Return what the environment of a label is made from."""
    environment = Environment.parse(text)
    needs = requirements.in_environment(label, environment)
    base, build = interpreters.identity(interpreters.find(environment.python))
    return Recipe(str(base), build, needs.requirements, needs.pins)


def folder_of(label: str, text: str) -> Path | None:
    """Return the folder of an environment; None for that of the lab."""
    return of_trial(label, text).folder


def output_of(label: str, text: str, arguments: Sequence[str]) -> str:
    """Run the interpreter of a label in an environment, and return its output.

    Raises:
        LabError: It cannot be started, failed, or took too long.
    """
    chosen = of_trial(label, text)
    name, command = f"The interpreter of environment {text}", [chosen.python, *arguments]
    return programs.output_of(command, DEADLINE_S, name=name, variables=variables(chosen))


def variables(interpreter: Interpreter) -> dict[str, str]:
    """Return the variables with which the interpreter of an environment imports the lab."""
    if interpreter.folder is None:
        return {}
    return child_environment.import_path(python=interpreter.python)
