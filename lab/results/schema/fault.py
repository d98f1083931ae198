"""Declares the table of hits: one row for each planned hit of a fault in a trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lab.core.column import LATEST_NS, column


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One hit of a fault in a trial."""

    ABOUT: ClassVar[str] = "One hit of a fault in a trial."
    KEY: ClassVar[tuple[str, ...]] = ("trial_id", "hit")

    trial_id: str = column("identifier of the trial")
    hit: int = column("number of the hit in the trial, from 0", least=0)
    fault: str = column("kind of the fault")
    # From the seed of the block, so that all systems are hit at the same instants (METHOD M27).
    planned_ns: int = column(
        "instant drawn before the window, equal for all systems of a block",
        "ns",
        least=0,
        most=LATEST_NS,
    )
    # A hit without a target is a row too, or the misses of a fault would not show (METHOD M27).
    injected_ns: int | None = column(
        "instant at which it happened; empty: it did not",
        "ns",
        least=0,
        most=LATEST_NS,
    )
    healed_ns: int | None = column(
        "end of the pause, cut or full disk; empty: the fault has none",
        "ns",
        least=0,
        most=LATEST_NS,
    )
    restarted_ns: int | None = column(
        "the lab had restarted the part that ended; empty: it did not",
        "ns",
        least=0,
        most=LATEST_NS,
    )
    role: str = column("role of the target: worker, child, broker, scheduler, driver or host")
    target: str = column("name of the part, and process id")
    activity: str = column(
        "what the target did, from the ledger: executing, idle, or unknown if it writes none"
    )
    task_ids: str = column("tasks that were executing there, separated by spaces")
    # From outside, because a part that was hit may be unable to report it (METHOD M27).
    proof: str = column("observation from outside the target")
    status: str = column("hit or missed")
    reason: str = column("why it missed; empty if it hit")
