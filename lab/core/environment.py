"""Defines the environment of a trial: the interpreter and the package versions that it uses."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

# A local version, such as 1.0+local, contains the sign without spaces.
SEPARATOR = " + "
# A version of Python, `t` for a free-threaded build; names of packages begin with a letter.
PYTHON = re.compile(r"\d+(\.\d+){1,2}t?", re.ASCII)


def has_gil() -> bool:
    """Return whether this interpreter runs with the GIL; a free-threaded build may run with it."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())  # new in Python 3.13


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment of driver and workers, apart from the system's lock.

    Attributes:
        python: The version of the interpreter, such as ``3.14t``; empty: that of the lab.
        overrides: Requirements that replace versions of the lock, such as ``celery==5.5.3``.
    """

    python: str = ""
    overrides: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The value of the column `environment`; empty: interpreter and packages of the lab."""
        return SEPARATOR.join(filter(None, (self.python, *self.overrides)))

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version of the interpreter."""
        if not self.python:
            return sys.version_info[:2]
        major, minor, *_ = self.python.removesuffix("t").split(".")
        return int(major), int(minor)

    @classmethod
    def parse(cls, text: str) -> Environment:
        """Return the environment that a text of `text` describes."""
        parts = text.split(SEPARATOR) if text else []
        python = parts.pop(0) if parts and PYTHON.fullmatch(parts[0]) else ""
        return cls(python, tuple(parts))
