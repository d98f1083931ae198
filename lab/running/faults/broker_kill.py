"""Kills the server by SIGKILL; the lab starts it again with its data and its port."""

from __future__ import annotations

from lab.core.faults import FaultKind
from lab.running.injection import Kill


class BrokerKill(Kill):
    """Kills the server. What it had written survives in the page cache; see `power-loss`."""

    kind = FaultKind.BROKER_KILL


INJECTION = BrokerKill()
