"""Declares the tables of facts about the campaign's machine and software."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lab.core.column import column


@dataclass(frozen=True, slots=True)
class EnvironmentRow:
    """One fact about the machine or the software."""

    ABOUT: ClassVar[str] = "One fact about the machine or the software."
    KEY: ClassVar[tuple[str, ...]] = ("fingerprint_id", "key")

    fingerprint_id: str = column("fingerprint of the machine and software")
    key: str = column("name of the fact")
    value: str = column("value of the fact; empty: unreadable")
    unit: str = column("unit of the value")
    # Only stable facts are hashed: another fingerprint starts a new series (METHOD M30, M33).
    stable: int = column("1 if the fact is part of the fingerprint", least=0, most=1)


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """One host baseline, without any task (M18)."""

    ABOUT: ClassVar[str] = "One host baseline, without any task (M18)."
    KEY: ClassVar[tuple[str, ...]] = ("campaign_id", "block", "baseline", "repeat")

    campaign_id: str = column("identifier of the campaign")
    # Each block has its own, because shares of a reference are ratios within a block (METHOD M18).
    block: int = column("block; the baseline was measured before its first trial", least=0)
    baseline: str = column("name of the baseline: a process start, or a server's own benchmark")
    repeat: int = column("number of the repetition in the block, from 0", least=0)
    value: float | None = column("measured value; empty: not measured")
    unit: str = column("unit of the value")
    method: str = column("how the value was measured, or why it was not")
