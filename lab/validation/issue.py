"""Defines an issue: a problem in the records of a trial."""

from __future__ import annotations

from dataclasses import dataclass

from lab.core.model import Flag


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem in the records of a trial, and the flag that it causes.

    Attributes:
        flag: The flag that it gives to the trial.
        reason: A sentence that describes it.
    """

    flag: Flag
    reason: str
