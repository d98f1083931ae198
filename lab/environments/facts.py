"""Reads the facts of the environments of a campaign, from their interpreters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.core.environment_provider import Environments
from lab.core.errors import LabError
from lab.core.model import TrialSpec
from lab.core.provider import Cluster
from lab.environments import installation, remembered, requirements
from lab.host import interpreter
from lab.host.environment import OF_ENVIRONMENT, Fact

# In the folder of an environment: its facts do not change, and to read them takes 0.1 s.
FACTS = "facts.json"


def of_trials(specs: Iterable[TrialSpec], providers: Mapping[str, type[Cluster]]) -> Iterator[Fact]:
    """Yield the facts of the environments of trials; those of the lab's own are elsewhere.

    A key begins with the environment and the lock, as in ``celery==5.5.3 (celery): package.kombu``.
    The interpreters are those of the trials' providers.

    Raises:
        LabError: An interpreter cannot be started.
    """
    places = {
        (spec.environment, requirements.needs_of(spec.label).lock or "no packages"): spec
        for spec in specs
        if spec.environment
    }
    for (text, lock), spec in sorted(places.items()):
        environments = providers[spec.provider].environments
        folder = environments.folder_of(spec.label, text)
        known = remembered.recall(folder / FACTS) if folder else None
        for key, value, is_stable in known or _read(environments, spec.label, text, folder):
            yield Fact(f"{OF_ENVIRONMENT}{text} ({lock}): {key}", value, stable=is_stable)


def _read(environments: Environments, label: str, text: str, folder: Path | None) -> Sequence[Any]:
    """Return key, value and stability of each fact, and keep them in the folder if there is one."""
    output = environments.output_of(label, text, ["-m", interpreter.__name__])
    try:
        known: Sequence[Any] = json.loads(output)
    except ValueError as error:
        raise LabError(
            f"The interpreter of environment {text} printed no facts. Remove the environment: "
            "lab env prune"
        ) from error
    if folder:
        # Packages that someone adds by hand change the second, other facts of the lab the third.
        python, packages = installation.python_of(folder), folder.glob("lib/python*/site-packages")
        remembered.keep(folder / FACTS, known, [python, *packages, Path(interpreter.__file__)])
    return known
