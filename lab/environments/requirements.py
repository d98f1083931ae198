"""Reads what a system needs: its requirements, its lock, and the overrides that concern it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from lab.core.backend import variant_of
from lab.core.environment import Environment
from lab.core.errors import UsageError
from lab.environments import checkouts
from lab.planning import registry

DISTRIBUTION = "background-task-lab"
LOCKS = Path(__file__).parent / "locks"
# Before the digest of a checkout, or its address.
URL = " @ "
NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Needs:
    """The packages of a variant: its requirements, and the lock that pins them.

    A system of the standard library has neither. `lock` is the name of a file in `LOCKS`.
    """

    requirements: tuple[str, ...] = ()
    lock: str = ""

    @property
    def pins(self) -> str:
        """The text of the lock; empty without one."""
        return (LOCKS / f"{self.lock}.txt").read_text(encoding="utf-8") if self.lock else ""

    def uses(self, override: str) -> bool:
        """Return whether the lock or the requirements contain the package of an override."""
        pinned = (line.partition("==")[0] for line in self.pins.splitlines() if "==" in line)
        names = {*pinned, *(name_of(text) for text in self.requirements)}
        return name_of(override) in names


def needs_of(label: str) -> Needs:
    """Return the packages of a label.

    Packages that only other variants of its backend need are left out, because they may have no
    wheel for an interpreter.
    """
    chosen = registry.select(label)
    # An extra without a lock is that of another package, which `compatibility` refuses.
    if not (LOCKS / f"{chosen.backend.extra}.txt").is_file():
        return Needs()
    wanted = variant_of(chosen.backend, chosen.variant).packages
    others = {name for each in chosen.backend.variants for name in each.packages} - {*wanted}
    texts = []
    for text in requires(DISTRIBUTION) or ():
        requirement = Requirement(text)
        extra = {"extra": chosen.backend.extra}
        is_of_lab = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if is_of_lab or not requirement.marker or not requirement.marker.evaluate(extra):
            continue
        requirement.extras -= others
        requirement.marker = None
        if canonicalize_name(requirement.name) not in others:
            texts.append(str(requirement))
    return Needs(tuple(sorted(texts)), chosen.backend.extra) if texts else Needs()


def package_of(label: str) -> str:
    """Return the package of a system, which must be installed; empty if it has none of its own.

    Such as `django-q2` of `django-q`; not the packages of its server's client and of its tools.
    """
    backend = registry.select(label).backend
    modules = [each for each in backend.packages if canonicalize_name(each) == backend.extra]
    if not modules or not needs_of(label).lock:
        return ""
    return canonicalize_name(packages_distributions()[modules[0]][0])


def combined(needs: Needs, overrides: Sequence[str]) -> list[str]:
    """Return the requirements of a system with overrides, each package once.

    Both parts of one package become one requirement, so that a message about it is clear.
    """
    texts = {name_of(text): text for text in needs.requirements}
    for override in overrides:
        name, replacing = name_of(override), Requirement(override)
        if name in texts:
            replacing.extras |= Requirement(texts[name]).extras
        texts[name] = str(replacing)
    return list(texts.values())


def in_environment(label: str, environment: Environment) -> Needs:
    """Return the packages of a label with the overrides of an environment."""
    needs = needs_of(label)
    # A reference has the overrides of the systems that it bounds, and ignores those of others.
    overrides = [override for override in environment.overrides if needs.uses(override)]
    return Needs(tuple(combined(needs, overrides)), needs.lock)


def name_of(requirement: str) -> str:
    """Return the normal name of a requirement's package."""
    return canonicalize_name(Requirement(requirement).name)


def checked(text: str) -> str:
    """Return one requirement of ``--with`` in its normal form.

    A checkout is identified by its content.

    Raises:
        UsageError: It is malformed, names no version, or names no checkout.
    """
    name, at, address = text.partition(URL)
    if at and NAME.fullmatch(name):
        return f"{name}{URL}{checkouts.digest(name, address.strip())}"
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise UsageError(
            f"--with {text!r} is not a requirement. Write a package with a version, such as "
            "'celery==5.5.3'."
        ) from None
    if requirement.marker or requirement.url or not requirement.specifier:
        raise UsageError(
            f"--with {text!r} names no version. Write one, such as '{requirement.name}==VERSION'."
        )
    return str(requirement)
