"""Looks up the faults after which a system keeps its tasks, according to its documentation."""

from __future__ import annotations

from collections.abc import Sequence

from lab.analysis.labels import selected
from lab.core.faults import FaultKind
from lab.planning import registry


def documented_safe(label: str) -> Sequence[FaultKind]:
    """Return the faults that the profile of a label is documented to be safe against."""
    if (chosen := selected(label)) is None:
        return ()
    profiles = registry.profiles_of(chosen.backend, chosen.variant)
    return next(p.safe_against for p in profiles if p.name == chosen.profile)
