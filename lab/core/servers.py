"""Names the programs that may be the server of a service."""

from __future__ import annotations

from lab.core.model import Service

# The lab uses Valkey where there is no Redis. Both have the same protocol, and no equal speed.
REDIS_SERVERS = (str(Service.REDIS), "valkey")
