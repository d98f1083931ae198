"""Prepares the environments of a campaign, and returns the interpreter of each trial."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from lab.core.environment import Environment
from lab.core.model import TrialSpec
from lab.environments import cache, interpreters, requirements
from lab.environments.installation import python_of
from lab.environments.recipe import Recipe
from lab.host import child_environment


class Interpreter(NamedTuple):
    """The interpreter of a trial; `folder` is None for that of the lab."""

    python: str
    folder: Path | None = None


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
    needs = requirements.needs_of(label)
    base, build = interpreters.identity(interpreters.find(environment.python))
    # A reference has the overrides of the systems that it bounds, and ignores those of others.
    overrides = [override for override in environment.overrides if needs.uses(override)]
    wanted = requirements.combined(needs, overrides)
    return Recipe(str(base), build, tuple(wanted), needs.pins)


def variables(interpreter: Interpreter) -> dict[str, str]:
    """Return the variables with which the interpreter of an environment imports the lab."""
    if interpreter.folder is None:
        return {}
    return child_environment.import_path(python=interpreter.python)
