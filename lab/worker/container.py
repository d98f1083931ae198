"""What runs inside a cluster's containers beside the systems: waiting for servers, starting nodes.

``python -m lab.worker.container wait`` waits until each server of the trial's setup answers, and
prints what each says of itself. ``python -m lab.worker.container node`` becomes the worker of a
node, or starts its workers where a system wants several processes, and ends when the first of them
does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

COMMANDS, SETUP = "LAB_COMMANDS", "LAB_SETUP"
WAIT_S = 60.0
LOOK_S = 0.05


def _redis(endpoint: str) -> str:
    import redis

    with redis.Redis.from_url(endpoint, socket_timeout=2) as client:
        kept = client.config_get("save")["save"] or client.config_get("appendonly")["appendonly"]
        how = "no persistence" if kept == "no" else "persistence on"
        return f"redis {client.info('server')['redis_version']} ({how})"


def _rabbitmq(endpoint: str) -> str:
    from kombu.connection import Connection

    with Connection(endpoint, connect_timeout=2) as connection:  # type: ignore[no-untyped-call]
        said = connection.connection.server_properties
        version = said["version"]
        return f"rabbitmq {version.decode() if isinstance(version, bytes) else version}"


def _dask_scheduler(endpoint: str) -> str:
    from distributed import Client

    with Client(endpoint, timeout=2, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        told = client.get_versions()["scheduler"]["packages"]
        return f"dask scheduler {told['distributed']}"


def _postgres(endpoint: str) -> str:
    import psycopg

    with psycopg.connect(endpoint, connect_timeout=2) as connection:
        version = connection.info.parameter_status("server_version")
        ((commit,),) = connection.execute("SHOW synchronous_commit").fetchall()
        return f"postgres {version} (synchronous_commit {commit})"


def _cron(_endpoint: str) -> str:
    asked = ("dpkg-query", "--show", "--showformat", "${Package} ${Version}", "cron")
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout


ABOUT: Mapping[str, Callable[[str], str]] = {
    "redis": _redis,
    "rabbitmq": _rabbitmq,
    "dask-scheduler": _dask_scheduler,
    "postgres": _postgres,
    "cron": _cron,
}


def wait(name: str, endpoint: str, patience_s: float = WAIT_S) -> str:
    """Ask a server who it is until it answers; return its name and version.

    Raises:
        SystemExit: It did not answer in time; the message is its last complaint.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return ABOUT[name](endpoint)
        except ImportError as error:
            raise SystemExit(f"The node image lacks the client of {name}: {error}") from error
        except Exception as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"{name} did not answer in {patience_s:.0f} s: {error}") from error
            time.sleep(LOOK_S)


def node(commands: Sequence[tuple[Sequence[str], int]]) -> int:
    """Start each command (words, slots) with the slot it begins at; return the first exit code."""
    if len(commands) == 1:
        words = commands[0][0]
        os.environ["LAB_SLOT"] = "0"
        os.execvp(words[0], [*words])  # noqa: S606 (no shell is the point: the worker is the process)
    running = []
    slot = 0
    for words, slots in commands:
        running.append(subprocess.Popen(words, env={**os.environ, "LAB_SLOT": str(slot)}))
        slot += slots
    ended, status = os.wait()
    for process in running:
        if process.pid != ended:
            process.terminate()
    return os.waitstatus_to_exitcode(status)


def main(arguments: Sequence[str]) -> int:
    """Do what the first argument says."""
    if arguments[0] == "node":
        return node(json.loads(os.environ.pop(COMMANDS)))
    for name, endpoint in json.loads(os.environ[SETUP])["endpoints"].items():
        sys.stdout.write(f"{wait(name, endpoint)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
