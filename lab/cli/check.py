"""Defines the result of one check of `lab doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """The result of a check.

    - `ok`: nothing to do.
    - `warn`: the numbers are worse than they could be.
    - `missing`: one backend, or every backend, cannot run.
    """

    OK = "ok"
    WARN = "warn"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; `fix` is a command or an instruction, empty if the state is ok."""

    name: str
    state: Health
    finding: str
    fix: str = ""
