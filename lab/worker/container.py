"""Runs in a cluster's containers: waits for the servers, or starts the workers of a node.

``python -m lab.worker.container wait`` waits until each server of the trial's setup answers, and
prints the name and version of each. ``python -m lab.worker.container node`` becomes the worker of a
node; if a backend needs several processes, it starts all and ends when the first of them ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from lab.worker import clock_file

COMMANDS, SETUP = "LAB_COMMANDS", "LAB_SETUP"
WAIT_S = 60.0
LOOK_S = 0.05


def _redis(endpoint: str) -> str:
    import redis

    with redis.Redis.from_url(endpoint, socket_timeout=2) as client:
        about = client.info("server")
        # Valkey reports its name, and in `redis_version` the version of Redis that it replaces.
        name = about.get("server_name", "redis")
        return f"{name} {about[f'{name}_version']} ({_persistence(client.config_get('*'))})"


def _persistence(settings: Mapping[str, str]) -> str:
    """Describe the persistence in force, with the names of `lab.core.faults.Persistence`."""
    if settings["appendonly"] == "yes":
        return f"persistence aof-{settings['appendfsync']}"
    return "persistence rdb" if settings["save"] else "no persistence"


def _rabbitmq(endpoint: str) -> str:
    from kombu.connection import Connection

    with Connection(endpoint, connect_timeout=2) as connection:  # type: ignore[no-untyped-call]
        version = connection.connection.server_properties["version"]
        return f"rabbitmq {version.decode() if isinstance(version, bytes) else version}"


def _dask_scheduler(endpoint: str) -> str:
    from distributed import Client

    with Client(endpoint, timeout=2, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        packages = client.get_versions()["scheduler"]["packages"]
        return f"dask scheduler {packages['distributed']}"


def _postgres(endpoint: str) -> str:
    import psycopg

    with psycopg.connect(endpoint, connect_timeout=2) as connection:
        version = connection.info.parameter_status("server_version")
        ((commit,),) = connection.execute("SHOW synchronous_commit").fetchall()
        return f"postgres {version} (synchronous_commit {commit})"


def _cron(_endpoint: str) -> str:
    command = ("dpkg-query", "--show", "--showformat", "${Package} ${Version}", "cron")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


ABOUT: Mapping[str, Callable[[str], str]] = {
    "redis": _redis,
    "rabbitmq": _rabbitmq,
    "dask-scheduler": _dask_scheduler,
    "postgres": _postgres,
    "cron": _cron,
}


def wait(name: str, endpoint: str, patience_s: float = WAIT_S) -> str:
    """Connect to a server until it answers; return its name and version.

    Raises:
        SystemExit: It did not answer within `patience_s` seconds; the message has its last error.
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
    """Run the commands, each with its number of slots; return the exit code of the first to end.

    ``LAB_SLOT`` of each command is the number of its first slot. SIGTERM is passed on once, and
    then every command may end by itself.
    """
    if len(commands) == 1:
        argv = commands[0][0]
        os.environ["LAB_SLOT"] = "0"
        os.execvp(argv[0], [*argv])  # noqa: S606 (the worker must replace this process)
    processes = list[subprocess.Popen[bytes]]()
    slot = 0
    is_terminated = False

    def terminate(*_: object) -> None:
        nonlocal is_terminated
        is_terminated = True
        for process in processes:
            process.terminate()

    signal.signal(signal.SIGTERM, terminate)
    for argv, slots in commands:
        processes.append(subprocess.Popen(argv, env={**os.environ, "LAB_SLOT": str(slot)}))
        slot += slots
    pid, status = os.wait()
    for process in processes:
        if is_terminated:
            process.wait()
        elif process.pid != pid:
            process.terminate()
    return os.waitstatus_to_exitcode(status)


def main(arguments: Sequence[str]) -> int:
    """Run the command in the first argument, `wait` or `node`."""
    clock_file.require_of_process()
    if arguments[0] == "node":
        return node(json.loads(os.environ.pop(COMMANDS)))
    for name, endpoint in json.loads(os.environ[SETUP])["endpoints"].items():
        sys.stdout.write(f"{wait(name, endpoint)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
