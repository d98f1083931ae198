"""What is told of the machine that a campaign ran on."""

from __future__ import annotations

from dataclasses import dataclass

from lab.results.schema.column import column


@dataclass(frozen=True, slots=True)
class EnvironmentRow:
    """One fact about the machine and the software. Key: fingerprint_id, key."""

    fingerprint_id: str = column("which machine and software")
    key: str = column("name of the fact")
    value: str = column("the fact; empty when unreadable")
    unit: str = column("unit of the value")
    stable: int = column("1 when the fact is part of the fingerprint", least=0, most=1)


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """One number of the machine alone (M18). Key: campaign_id, block, baseline, repeat."""

    campaign_id: str = column("which campaign")
    block: int = column("measured before the first trial of this block", least=0)
    baseline: str = column("a process and what it does, or the server's own benchmark")
    repeat: int = column("0 for the first time in the block", least=0)
    value: float | None = column("the number; empty when it was not measured")
    unit: str = column("its unit")
    method: str = column("how, or why it was not measured")
