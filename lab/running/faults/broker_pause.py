"""Stops the server by SIGSTOP, and continues it after a while."""

from __future__ import annotations

from lab.core.faults import FaultKind
from lab.running.injection import Pause


class BrokerPause(Pause):
    """Stops the server; its connections stay open, and nothing answers."""

    kind = FaultKind.BROKER_PAUSE


INJECTION = BrokerPause()
