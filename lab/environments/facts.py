"""Reads the facts of the environments of a campaign, from their interpreters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lab.core.errors import LabError
from lab.core.model import TrialSpec
from lab.environments import preparation, remembered, requirements
from lab.host import interpreter, programs
from lab.host.environment import OF_ENVIRONMENT, Fact

DEADLINE_S = 60.0
# In the folder of an environment: its facts do not change, and to read them takes 0.1 s.
FACTS = "facts.json"


def of_trials(specs: Iterable[TrialSpec]) -> Iterator[Fact]:
    """Yield the facts of the environments of trials; those of the lab's own are elsewhere.

    A key begins with the environment and the lock, as in ``celery==5.5.3 (celery): package.kombu``.

    Raises:
        LabError: An interpreter cannot be started.
    """
    places = {
        (spec.environment, requirements.needs_of(spec.label).lock or "no packages"): spec.label
        for spec in specs
        if spec.environment
    }
    for (text, lock), label in sorted(places.items()):
        chosen = preparation.of_trial(label, text)
        file = chosen.folder / FACTS if chosen.folder else None
        known = remembered.recall(file) if file else None
        for key, value, is_stable in known or _read(chosen, text, file):
            yield Fact(f"{OF_ENVIRONMENT}{text} ({lock}): {key}", value, stable=is_stable)


def _read(chosen: preparation.Interpreter, text: str, file: Path | None) -> Sequence[Any]:
    """Return key, value and stability of each fact, from the interpreter; keep them in `file`."""
    output = programs.output_of(
        [chosen.python, "-m", interpreter.__name__],
        DEADLINE_S,
        name=f"The interpreter of environment {text}",
        variables=preparation.variables(chosen),
    )
    try:
        known: Sequence[Any] = json.loads(output)
    except ValueError as error:
        raise LabError(
            f"The interpreter of environment {text} printed no facts. Remove the environment: "
            "lab env prune"
        ) from error
    if file and chosen.folder:
        # Packages that someone adds by hand change the second, other facts of the lab the third.
        packages = chosen.folder.glob("lib/python*/site-packages")
        remembered.keep(file, known, [Path(chosen.python), *packages, Path(interpreter.__file__)])
    return known
