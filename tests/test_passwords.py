"""Each trial has a password of its own; other users of the machine neither read nor need it."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from lab import processes, registry
from lab.backend import capabilities, services_of
from lab.cluster import Cluster
from lab.clusters import PROVIDERS
from lab.clusters.services import RedisService
from lab.model import Burst, Capability, Monitored, Periodic, Service, TrialSpec
from tests.intruders import as_nobody
from tests.trials import look_in, spec_of

# What another user might type: to enqueue, to write files, to have code loaded.
ATTACKS = (
    "LPUSH tasks hostile",
    "CONFIG SET dir /tmp",
    "CONFIG SET requirepass mine",
    "REPLICAOF 127.0.0.1 1",
    "MODULE LOAD /tmp/module.so",
    "EVAL return(1) 0",
    "FLUSHALL",
)
REDIS_AND_MORE = [
    f"{name}[{variant.name}]"
    for name, backend in registry.backends().items()
    for variant in backend.variants
    if set(services_of(backend, variant.name)) & {Service.REDIS, Service.RABBITMQ, Service.POSTGRES}
]


def say(port: int, *lines: str) -> str:
    """Say lines to what listens on a port of loopback, and return the first word of each answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        answers = connection.makefile("r", encoding="utf-8")
        heard = []
        for line in lines:
            connection.sendall(f"{line}\r\n".encode())
            heard.append(answers.readline().split()[0])
    return " ".join(heard)


def test_another_user_gets_nothing_done_on_a_redis(tmp_path: Path) -> None:
    """S2: neither a pickle for RQ is enqueued nor a file written; without the password, nothing."""
    running = RedisService().start(tmp_path, (), {processes.OWNER: processes.owner()}, "secret")
    try:
        port = urlsplit(running.endpoint).port
        assert as_nobody(say, port, *ATTACKS) == " ".join(["-NOAUTH"] * len(ATTACKS))
        assert as_nobody(say, port, "AUTH guess", *ATTACKS[:1]) == "-WRONGPASS -NOAUTH"
        assert say(port or 0, "AUTH secret", "LPUSH tasks ours") == "+OK :1"
    finally:
        processes.stop(running.process)


def spec_for(label: str, provider: str) -> TrialSpec:
    """Choose a trial in which the system starts all that it can: its monitor, or its scheduler."""
    chosen = registry.select(label)
    promised = capabilities(chosen.backend, chosen.variant)
    if Capability.SCHEDULE in promised and Capability.SUBMIT not in promised:
        return spec_of(label, arrival=Periodic(1, 1, every_s=chosen.backend.finest_period_s))
    if provider == "local" and Capability.MONITOR in promised:
        return spec_of(label, arrival=Monitored(5))
    return spec_of(label, arrival=Burst(5), provider=provider)


def check_that_it_is_hidden(label: str, provider: str, folder: Path) -> None:
    """Run a trial; no argument of any process and no file that stays may hold its password."""
    passwords, shown = [], []

    def look(cluster: Cluster) -> None:
        passwords.append(cluster.password)
        for process in psutil.process_iter(["cmdline"]):
            words = " ".join(process.info["cmdline"] or ())
            if cluster.password in words:
                shown.append(words)

    row = look_in(folder, spec_for(label, provider), look).row
    assert (row.status, row.reason) == ("ok", "")
    assert shown == []
    (password,) = passwords
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert "trial.json" in {file.name for file in files}
    assert [file for file in files if password.encode() in file.read_bytes()] == []
    assert password not in repr(row)


def local() -> list[str]:
    """Return the variants of servers that plain processes on this machine can be."""
    return [
        label
        for label in REDIS_AND_MORE
        if set(services_of(registry.select(label).backend, registry.select(label).variant))
        <= PROVIDERS["local"].offers
    ]


@pytest.mark.slow
@pytest.mark.parametrize("label", local())
def test_no_argument_and_no_file_shows_it(label: str, tmp_path: Path) -> None:
    """Any user reads the arguments of every process, and a run's folder is published."""
    check_that_it_is_hidden(label, "local", tmp_path)


@pytest.mark.cluster
@pytest.mark.parametrize(
    "label", ["rq", "celery[prefork+rabbitmq]", "django-q[redis+postgres]", "raw-sql[postgres]"]
)
@pytest.mark.usefixtures("containers")
def test_no_argument_and_no_file_shows_it_with_containers(label: str, tmp_path: Path) -> None:
    """Neither those of the engine's client, nor those of processes in containers."""
    check_that_it_is_hidden(label, "compose", tmp_path)
