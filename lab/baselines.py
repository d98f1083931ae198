"""What this machine does without the lab: processes started, and a broker asked by its own tool.

These are the speed-of-light rows B5 and B8 of METHOD M18, and the PING of B3. They run no task, so
they are no trials; they are measured before each block, and have a table of their own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING

from lab import images, interrupts, processes, registry, scratch, surroundings
from lab.backend import services_of
from lab.clusters import reaper
from lab.clusters.services import RedisService
from lab.engine import docker
from lab.errors import ClusterError
from lab.model import Service, TrialSpec
from lab.tables.machine import BaselineRow

if TYPE_CHECKING:
    import redis

STARTS = 2  # of each process a block: ten blocks make the twenty of METHOD M25
TOOL = "redis-benchmark"
CLIENTS, PAYLOAD_BYTES = 50, 1_000
# Commands by the depth of the pipeline, enough for some tenths of a second.
COMMANDS = {1: 30_000, 16: 100_000}
PINGS = 2_000
PINGED = f"{PINGS} PINGs, one a round trip, from redis-py to a server on this machine"
MISSING = f"{TOOL} is not installed. Run: sudo apt install redis-tools"
# Alone in a container with a server of its own.
IN_CONTAINER = (
    "redis-server --save '' --appendonly no --daemonize yes >/dev/null; "
    "until redis-cli ping >/dev/null 2>&1; do sleep 0.02; done; "
)


def measure(specs: Sequence[TrialSpec], campaign_id: str, block: int) -> Iterator[BaselineRow]:
    """Measure what bounds the systems of these trials; what cannot be has its reason as `method`.

    Processes where a system starts any, with what the systems import; Redis where one needs it.
    """
    systems = {registry.select(spec.label) for spec in specs}
    starting = [one for one in systems if registry.has_own_workers(one)]
    packages = {name for one in starting for name in one.backend.packages}
    heavy = [name for name in ("celery", "django") if any(p.startswith(name) for p in packages)]
    for statement in ["pass"] * bool(starting) + [f"import {name}" for name in heavy]:
        for number in range(STARTS):
            took_s, method = _start(statement)
            name = f"python -c '{statement}'"
            yield BaselineRow(campaign_id, block, name, number, took_s, "s", method)
    if any(Service.REDIS in services_of(one.backend, one.variant) for one in systems):
        for depth in COMMANDS:
            rate, method = _ask_redis(depth, specs[0].provider)
            name = f"{TOOL} -P {depth}"
            yield BaselineRow(campaign_id, block, name, 0, rate, "1/s", method)
        for way, (rate, method) in _ping().items():
            name = f"redis-py PING over {way}"
            yield BaselineRow(campaign_id, block, name, 0, rate, "1/s", method)


def _start(statement: str) -> tuple[float | None, str]:
    begin = monotonic_ns()
    command, env = [sys.executable, "-c", statement], surroundings.of_process()
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    took_s = (monotonic_ns() - begin) / 1e9
    if done.returncode:
        return None, done.stderr.decode(errors="replace").strip().splitlines()[-1]
    return took_s, "fork and exec to exit, page cache as it is"


def _ask_redis(depth: int, provider: str) -> tuple[float | None, str]:
    argv = [TOOL, "-t", "lpush", "-c", str(CLIENTS), "-d", str(PAYLOAD_BYTES), "--csv"]
    argv += ["-P", str(depth), "-n", str(COMMANDS[depth])]
    try:
        told = _locally(argv) if provider == "local" else _in_a_container(argv)
    except (ClusterError, OSError, subprocess.SubprocessError) as error:
        return None, " ".join(str(error).split())
    return rate_of(told), " ".join(argv)


def rate_of(told: str) -> float:
    """Read the rate from what the tool printed: its name for the test, then commands a second."""
    return float(told.strip().splitlines()[-1].split(",")[1].strip('"'))


def _locally(argv: Sequence[str]) -> str:
    """Run it against a server of its own."""
    if not shutil.which(TOOL):
        raise ClusterError(MISSING)
    with _own_redis() as (port, _):
        command, env = [*argv, "-p", str(port)], surroundings.of_process()
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        return done.stdout


class _RedisWithSocket(RedisService):
    options = (*RedisService.options, "--unixsocket", "socket")  # in its own folder

    def access(self, password: str) -> bytes:  # noqa: ARG002 (nobody has one here)
        """Let who knows no password push to lists, and read the settings, and nothing else.

        The tool takes a password in its arguments only, where every user of the machine reads it.
        """
        return b"user default on nopass ~* -@all +@connection +lpush +config|get\n"


@contextmanager
def _own_redis() -> Iterator[tuple[int, Path]]:
    """Start a server for one question; yield its port and its Unix socket."""
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: TOOL}
    with scratch.folder() as folder, interrupts.deferred():
        try:
            with interrupts.allowed():
                server = _RedisWithSocket().start(folder, (), labels, "none")
                port = server.endpoint.rpartition(":")[2].partition("/")[0]
                yield int(port), folder / "socket"
                processes.stop(server.process)
        finally:
            processes.reap_trial(TOOL)  # also one whose start was cut short


def _ping() -> dict[str, tuple[float | None, str]]:
    """Ask a server in turns for nothing: rates by the way to it, or why there are none."""
    import redis

    try:
        with _own_redis() as (port, socket):
            ways = {
                "TCP": redis.Redis(port=port),
                "a Unix socket": redis.Redis(unix_socket_path=str(socket)),
            }
            return {way: (_round_trips(client), PINGED) for way, client in ways.items()}
    except ClusterError as error:
        return dict.fromkeys(("TCP", "a Unix socket"), (None, str(error)))


def _round_trips(client: redis.Redis) -> float:
    with client:
        client.ping()  # connects
        begin = monotonic_ns()
        for _ in range(PINGS):
            client.ping()
        return PINGS / ((monotonic_ns() - begin) / 1e9)


def _in_a_container(argv: Sequence[str]) -> str:
    labels = {reaper.RUN: TOOL, reaper.OWNER: processes.owner()}
    marks = [word for pair in labels.items() for word in ("--label", "=".join(pair))]
    alone = ("--rm", "--network", "none", "--entrypoint", "sh")
    command = ("-c", IN_CONTAINER + " ".join(argv))
    told = docker("run", *alone, *marks, images.resolve().redis.name, *command)
    return told.decode()
