"""Kills the driver while it submits, by SIGKILL."""

from __future__ import annotations

from lab.core.faults import FaultKind
from lab.running.injection import Kill


class SubmitterKill(Kill):
    """Kills the process that submits; the rest of the window is not offered."""

    kind = FaultKind.SUBMITTER_KILL


INJECTION = SubmitterKill()
