"""What this machine does without the lab: processes started, and a broker asked by its own tool.

These are the speed-of-light rows B5 and B8 of METHOD M18, and the PING of B3. They run no task, so
they are no trials; they are measured before each block, and have a table of their own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from lab.core.backend import services_of
from lab.core.defects import contained
from lab.core.errors import ClusterError, LabError
from lab.core.model import Service, TrialSpec
from lab.host import child_environment, interrupts, processes, temp_dirs
from lab.planning import registry
from lab.providers import images, reaper
from lab.providers.engine import docker
from lab.providers.servers import RedisService
from lab.results.schema.machine import BaselineRow

if TYPE_CHECKING:
    import redis

STARTS = 2  # of each process a block: ten blocks make the twenty of METHOD M25
TOOL = "redis-benchmark"
DEADLINE_S = 60.0
WAYS = ("TCP", "a Unix socket")
Number = tuple[float | None, str]
"""A number and how it was measured, or None and why it was not."""
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

    def row(name: str, repeat: int, unit: str, number: Callable[[], Number]) -> BaselineRow:
        value, method = contained(number, lambda reason: (None, reason))
        return BaselineRow(campaign_id, block, name, repeat, value, unit, method)

    systems = {registry.select(spec.label) for spec in specs}
    starting = [one for one in systems if registry.has_own_workers(one)]
    packages = {name for one in starting for name in one.backend.packages}
    heavy = [name for name in ("celery", "django") if any(p.startswith(name) for p in packages)]
    for statement in ["pass"] * bool(starting) + [f"import {name}" for name in heavy]:
        for repeat in range(STARTS):
            yield row(f"python -c '{statement}'", repeat, "s", partial(_start, statement))
    if any(Service.REDIS in services_of(one.backend, one.variant) for one in systems):
        for depth in COMMANDS:
            ask = partial(_ask_redis, depth, specs[0].provider)
            yield row(f"{TOOL} -P {depth}", 0, "1/s", ask)
        for way in WAYS:
            yield row(f"redis-py PING over {way}", 0, "1/s", partial(_ping, way))


def _start(statement: str) -> Number:
    begin = monotonic_ns()
    done = _run([sys.executable, "-c", statement])
    took_s = (monotonic_ns() - begin) / 1e9
    _require_success("python", done)
    return took_s, "fork and exec to exit, page cache as it is"


def _run(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end.

    Raises:
        LabError: It cannot be started, or did not end in `DEADLINE_S`.
    """
    try:
        return subprocess.run(
            argv,
            env=child_environment.of_process(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=DEADLINE_S,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{Path(argv[0]).name} did not end in {DEADLINE_S:.0f} s.") from None
    except OSError as error:
        raise LabError(f"{Path(argv[0]).name} cannot be started: {error.strerror}.") from error


def _require_success(name: str, done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2] or "it printed nothing"
        raise LabError(f"{name} ended with code {done.returncode}: {last}")


def _ask_redis(depth: int, provider: str) -> Number:
    argv = [TOOL, "-t", "lpush", "-c", str(CLIENTS), "-d", str(PAYLOAD_BYTES), "--csv"]
    argv += ["-P", str(depth), "-n", str(COMMANDS[depth])]
    told = _locally(argv) if provider == "local" else _in_a_container(argv)
    return rate_of(told), " ".join(argv)


def rate_of(told: str) -> float:
    """Read the rate from what the tool printed: its name for the test, then commands a second.

    Raises:
        LabError: There is none.
    """
    last = told.strip().rpartition("\n")[2]
    try:
        return float(last.split(",")[1].strip('"'))
    except (IndexError, ValueError):
        raise LabError(f"{TOOL} printed no rate, but: {last[:80]!r}.") from None


def _locally(argv: Sequence[str]) -> str:
    """Run it against a server of its own."""
    if not shutil.which(TOOL):
        raise ClusterError(MISSING)
    with _own_redis() as (port, _):
        done = _run([*argv, "-p", str(port)])
        _require_success(TOOL, done)
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
    with temp_dirs.folder() as folder, interrupts.deferred():
        try:
            with interrupts.allowed():
                server = _RedisWithSocket().start(folder, (), labels, "none")
                port = server.endpoint.rpartition(":")[2].partition("/")[0]
                try:
                    yield int(port), folder / "socket"
                finally:
                    processes.stop(server.process)
        finally:
            processes.reap_trial(TOOL)  # also one whose start was cut short


def _ping(way: str) -> Number:
    """Ask a server of its own for nothing, again and again, by one way to it."""
    try:
        import redis
    except ImportError:
        raise LabError("redis-py is not installed. Run: python -m pip install redis") from None
    with _own_redis() as (port, socket):
        where: dict[str, Any] = (
            {"port": port} if way == "TCP" else {"unix_socket_path": str(socket)}
        )
        try:
            return _round_trips(redis.Redis(**where)), PINGED
        except redis.RedisError as error:
            raise LabError(f"The server stopped answering: {error}") from error


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
