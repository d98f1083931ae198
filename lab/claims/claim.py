"""What a claim is, and a system that claims are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Says(StrEnum):
    """The three marks of the seed's table."""

    YES = "yes"
    NO = "no"
    CONFIG = "with config"


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that is said of a system in the seed's `words`: yes, no, or with configuration.

    `name` is that of the question which is asked, unless another one is asked `instead`. `ways` are
    the labels on which it is tried, by default the system as installed: one of them is enough, or
    it takes `each`. What is so in another way than as installed is so with that way; `needs` says
    what the installed way needs beyond one command.
    """

    name: str
    says: Says
    words: str
    ways: tuple[str, ...] = ()
    each: bool = False
    needs: str = ""
    instead: str = ""

    @property
    def question(self) -> str:
        """What is asked."""
        return self.instead or self.name


@dataclass(frozen=True, slots=True)
class System:
    """A row of the seed's table, by the seed's name for one of our backends.

    `unjudged` are sentences which no trial can judge, each with why.
    """

    package: str
    kind: str
    notes: str
    claims: tuple[Claim, ...]
    unjudged: Mapping[str, str]
