"""Resolves `--python` and `--with` to the environments in which each label runs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from lab.core.environment import PYTHON, SEPARATOR, Environment
from lab.core.errors import UsageError
from lab.environments import requirements
from lab.planning.plan import Selection
from lab.providers import PROVIDERS


def of_labels(selection: Selection, options: argparse.Namespace) -> Mapping[str, tuple[str, ...]]:
    """Return the texts of the environments of each label; empty without such an option.

    A label that uses no package of an override runs in its environment without it. A reference
    runs in every environment of the systems, so that each has its share of it (METHOD M18).

    Raises:
        UsageError: A requirement is malformed, no system uses its package, there is no such
            interpreter, or the provider runs no environments.
    """
    pythons = options.python or ()
    sets = [_overrides(text) for text in getattr(options, "with") or ()]
    if not pythons and not sets:
        return {}
    environments = PROVIDERS[options.provider].environments
    for version in pythons:
        if not PYTHON.fullmatch(version):
            raise UsageError(
                f"--python {version!r} is not a version. Write one, such as 3.13 or 3.14t."
            )
    for version in pythons or ("",):
        environments.require(version)
    needs = {label: requirements.needs_of(label) for label in selection.labels}
    for override in (override for overrides in sets for override in overrides):
        if not any(each.uses(override) for each in needs.values()):
            raise UsageError(
                f"--with {override!r}: none of the selected systems uses the package "
                f"{requirements.name_of(override)}. Select one that does with --backend, or leave "
                "it out."
            )
    of_systems = {label: _texts(each, pythons, sets) for label, each in needs.items()}
    every = dict.fromkeys(text for texts in of_systems.values() for text in texts)
    return of_systems | dict.fromkeys(selection.references, tuple(every))


def _overrides(text: str) -> tuple[str, ...]:
    return tuple(requirements.checked(part.strip()) for part in text.split(SEPARATOR))


def _texts(
    needs: requirements.Needs, pythons: Sequence[str], sets: Sequence[tuple[str, ...]]
) -> tuple[str, ...]:
    """Return the texts of the environments of one system, in the order of the options."""
    used = [tuple(filter(needs.uses, overrides)) for overrides in sets]
    # A system with an environment of its own needs no other for the overrides of other systems.
    chosen = [overrides for overrides in used if overrides] or [()]
    every = (Environment(python, each) for python in pythons or ("",) for each in chosen)
    return tuple(dict.fromkeys(environment.text for environment in every))
