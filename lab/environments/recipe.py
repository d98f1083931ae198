"""Defines what an environment is made from, and the hash of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

# A change of how environments are created is a new version, and old ones are not used.
VERSION = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that an environment is made from.

    Attributes:
        base: The interpreter outside virtual environments.
        build: The identity of its build.
        requirements: Those of the system and the overrides.
        pins: The lock, whose versions are kept where the overrides permit.
    """

    base: str
    build: str
    requirements: tuple[str, ...]
    pins: str
    version: int = VERSION

    @property
    def key(self) -> str:
        """Twenty hex digits of the sha256 of the fields."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]
