"""Reads the facts of the environments of a campaign, from their interpreters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from lab.core.errors import LabError
from lab.core.model import TrialSpec
from lab.environments import preparation, requirements
from lab.host import interpreter, programs
from lab.host.environment import OF_ENVIRONMENT, Fact

DEADLINE_S = 60.0


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
        output = programs.output_of(
            [chosen.python, "-m", interpreter.__name__],
            DEADLINE_S,
            name=f"The interpreter of environment {text}",
            variables=preparation.variables(chosen),
        )
        try:
            known = json.loads(output)
        except ValueError as error:
            raise LabError(
                f"The interpreter of environment {text} printed no facts. Remove the environment: "
                "lab env prune"
            ) from error
        for key, value, is_stable in known:
            yield Fact(f"{OF_ENVIRONMENT}{text} ({lock}): {key}", value, stable=is_stable)
