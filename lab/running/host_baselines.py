"""Measures the host baselines: process starts, redis-benchmark and PING round trips.

These are B3 (PING), B5 and B8 of METHOD M18. They run no task, so they are not trials: they are
measured before each block and have a table of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from lab.core.backend import services_of
from lab.core.defects import contained
from lab.core.errors import LabError
from lab.core.model import Service, TrialSpec
from lab.host import programs
from lab.planning import registry
from lab.providers import PROVIDERS, redis_benchmark
from lab.providers.redis_benchmark import DEADLINE_S, TOOL
from lab.results.schema.machine import BaselineRow

if TYPE_CHECKING:
    import redis

STARTS = 2  # of each process per block; ten blocks give the twenty of METHOD M25
WAYS = ("TCP", "a Unix socket")
Measurement = tuple[float | None, str]
"""A number and its method, or None and the reason."""
CLIENTS, PAYLOAD_BYTES = 50, 1_000
# Pipeline depth -> number of commands, enough for some tenths of a second.
COMMANDS = {1: 30_000, 16: 100_000}
PINGS = 2_000
PINGED = f"{PINGS} PINGs, one per round trip, from redis-py to a server on this machine"


def measure_baselines(
    specs: Sequence[TrialSpec], campaign_id: str, block: int
) -> Iterator[BaselineRow]:
    """Measure the host baselines that bound the backends of these trials.

    Process starts if a backend has worker processes, with the packages that it imports; Redis if a
    backend needs it. If a baseline cannot be measured, its value is null and `method` is the
    reason.
    """

    def row(name: str, repeat: int, unit: str, number: Callable[[], Measurement]) -> BaselineRow:
        value, method = contained(number, lambda reason: (None, reason))
        return BaselineRow(campaign_id, block, name, repeat, value, unit, method)

    selected = {registry.select(spec.label) for spec in specs}
    with_workers = [backend for backend in selected if registry.has_worker_processes(backend)]
    packages = {name for backend in with_workers for name in backend.backend.packages}
    # Those that B8 of METHOD M18 names; a system that imports neither has no such start.
    heavy = [name for name in ("celery", "django") if any(p.startswith(name) for p in packages)]
    for statement in ["pass"] * bool(with_workers) + [f"import {name}" for name in heavy]:
        for repeat in range(STARTS):
            yield row(f"python -c '{statement}'", repeat, "s", partial(_start, statement))
    if any(Service.REDIS in services_of(chosen.backend, chosen.variant) for chosen in selected):
        for depth in COMMANDS:
            benchmark = partial(_benchmark_redis, depth, specs[0].provider)
            yield row(f"{TOOL} -P {depth}", 0, "1/s", benchmark)
        for way in WAYS:
            yield row(f"redis-py PING over {way}", 0, "1/s", partial(_ping, way))


def _start(statement: str) -> Measurement:
    begin = monotonic_ns()
    programs.output_of([sys.executable, "-c", statement], DEADLINE_S)
    took_s = (monotonic_ns() - begin) / 1e9
    return took_s, "from fork and exec to exit; the page cache is not cleared"


def _benchmark_redis(depth: int, provider: str) -> Measurement:
    argv = [TOOL, "-t", "lpush", "-c", str(CLIENTS), "-d", str(PAYLOAD_BYTES), "--csv"]
    argv += ["-P", str(depth), "-n", str(COMMANDS[depth])]
    output = PROVIDERS[provider].benchmark_redis(argv)
    return rate_of(output), " ".join(argv)


def rate_of(output: str) -> float:
    """Parse the output of the tool, ``"NAME OF THE TEST","COMMANDS PER SECOND"``; return the rate.

    Raises:
        LabError: The last line contains no rate.
    """
    last = output.strip().rpartition("\n")[2]
    try:
        return float(last.split(",")[1].strip('"'))
    except (IndexError, ValueError):
        raise LabError(f"{TOOL} printed no rate, but: {last[:80]!r}.") from None


def _ping(way: str) -> Measurement:
    """Return the rate of PING round trips to a new server over one kind of connection."""
    try:
        import redis
    except ImportError:
        raise LabError("redis-py is not installed. Run: python -m pip install redis") from None
    # A separate server: before a block, no trial's server is running.
    with redis_benchmark.new_redis() as (port, socket):
        where: dict[str, Any] = (
            {"port": port} if way == "TCP" else {"unix_socket_path": str(socket)}
        )
        try:
            return _round_trips(redis.Redis(**where)), PINGED
        except redis.RedisError as error:
            raise LabError(f"The server stopped answering: {error}") from error


def _round_trips(client: redis.Redis) -> float:
    with client:
        client.ping()  # opens the connection
        begin = monotonic_ns()
        for _ in range(PINGS):
            client.ping()
        return PINGS / ((monotonic_ns() - begin) / 1e9)
