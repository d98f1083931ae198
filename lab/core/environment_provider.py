"""Defines what a provider does for environments: it creates them and runs their interpreters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from lab.core.errors import UsageError
from lab.core.model import TrialSpec

LOCAL = "Add --provider local."


class Environments(Protocol):
    """Creates the environments of driver and workers, and runs their interpreters."""

    def require(self, python: str) -> None:
        """Check that there can be an environment of a version of Python.

        Raises:
            UsageError: There cannot.
        """

    def prepare(self, specs: Iterable[TrialSpec], say: Callable[[str], None]) -> None:
        """Create the environments of trials that do not exist yet.

        Raises:
            UsageError: One cannot exist: no such version or interpreter, no wheel, or a conflict.
            LabError: The creation failed.
        """

    def output_of(self, label: str, text: str, arguments: Sequence[str]) -> str:
        """Run the interpreter of a label in an environment, and return its output.

        Raises:
            LabError: It cannot be started or failed.
        """

    def folder_of(self, label: str, text: str) -> Path | None:
        """Return the folder of an environment on this machine; None for the lab's, or an image."""


class NoEnvironments:
    """Refuses environments, for providers that run the lab's own only."""

    def require(self, python: str) -> None:
        """Refuse any version."""
        raise UsageError(f"The provider has no environment of Python {python}. {LOCAL}")

    def prepare(self, specs: Iterable[TrialSpec], say: Callable[[str], None]) -> None:
        """Refuse the trials."""
        del say
        texts = sorted({spec.environment for spec in specs})
        raise UsageError(f"The provider has no environment {', '.join(texts)}. {LOCAL}")

    def output_of(self, label: str, text: str, arguments: Sequence[str]) -> str:
        """Refuse the environment."""
        del label, arguments
        raise UsageError(f"The provider has no environment {text}. {LOCAL}")

    def folder_of(self, label: str, text: str) -> Path | None:
        """Return None: there is no environment."""
        del label, text
        return None
