"""Names the program of the Redis server on this machine, which may be Valkey."""

from __future__ import annotations

from pathlib import Path

from lab.providers.redis_program import redis_server

REDIS_SERVER = Path(redis_server().path).name
