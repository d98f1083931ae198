"""Defines an issue: a problem in the records of a trial, and reads the column of their reasons."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.core.model import Flag

# The name of a flag of METHOD M7, with which its reasons begin; the words after it say the same.
LIMITED = "generator_limited: "
# Separates the reasons in the column `flag_reasons`.
SEPARATOR = re.compile(r"\s*;\s*")


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem in the records of a trial, and the flag that it causes.

    Attributes:
        flag: The flag that it gives to the trial.
        reason: A sentence that describes it.
    """

    flag: Flag
    reason: str


def is_limited(reasons: str) -> bool:
    """Return whether the sender missed its plan and no other reason is in `flag_reasons`."""
    return bool(reasons) and all(reason.startswith(LIMITED) for reason in SEPARATOR.split(reasons))
