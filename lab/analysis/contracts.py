"""Groups systems by their contract, which their adapters state."""

from __future__ import annotations

from collections.abc import Iterable

from lab.analysis.labels import selected
from lab.core import backend
from lab.core.outcomes import Contract

UNKNOWN = "contract unknown"


def contract_of(label: str) -> str:
    """Return the contract of a label; `UNKNOWN` for a system that is not installed here."""
    if (chosen := selected(label)) is None:
        return UNKNOWN
    return backend.contract_of(chosen.backend, chosen.variant, chosen.profile)


def in_title(contract: str) -> str:
    """Return a contract as the beginning of a sentence."""
    return f"{contract[0].upper()}{contract[1:]}"


def by_contract(labels: Iterable[str]) -> dict[str, list[str]]:
    """Return the labels of each contract, the weakest first."""
    groups: dict[str, list[str]] = {contract: [] for contract in (*Contract, UNKNOWN)}
    for label in labels:
        groups[contract_of(label)].append(label)
    return {contract: group for contract, group in groups.items() if group}
