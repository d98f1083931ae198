"""Defines a claim, and the backend that a group of claims is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """The three marks of the published table."""

    YES = "yes"
    NO = "no"
    CONFIG = "with config"


@dataclass(frozen=True, slots=True)
class Claim:
    """One published statement about a backend.

    Attributes:
        name: The claim's name, and by default that of the criterion that tests it.
        mark: The mark of the published table: yes, no, or with configuration.
        statement: The published sentence.
        ways: Labels to test; by default the backend's default variant. The claim holds if it holds
            for any of them. If only another than the default variant passes, the verdict is "holds
            with LABEL".
        each: The claim must hold for every label of `ways`.
        needs: Setup that the default variant requires beyond one command.
        instead: Name of the criterion that tests the claim, where it is not `name`.
    """

    name: str
    mark: Mark
    statement: str
    ways: tuple[str, ...] = ()
    each: bool = False
    needs: str = ""
    instead: str = ""

    @property
    def criterion(self) -> str:
        """Name of the criterion that tests the claim."""
        return self.instead or self.name


@dataclass(frozen=True, slots=True)
class PublishedBackend:
    """A row of the published table, about one backend.

    Attributes:
        package: The published name of the backend.
        kind: The published type: built in or third-party.
        notes: The published notes.
        claims: The statements that trials can test.
        unjudged: Sentences that no trial can test, each with the reason.
    """

    package: str
    kind: str
    notes: str
    claims: tuple[Claim, ...]
    unjudged: Mapping[str, str]
