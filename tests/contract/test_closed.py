"""Tests that other users cannot use a trial's servers, and that nothing exposes their password.

The table of listeners in SECURITY.md is compared with the sockets that listen.
"""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from lab.core.backend import capabilities, services_of
from lab.core.model import Burst, Capability, Monitoring, Periodic, TrialSpec
from lab.core.provider import Cluster
from lab.host import processes, procfs
from lab.planning import registry
from lab.providers import docker_command, redis_benchmark
from lab.providers.compose_override import FILE
from lab.providers.local import LocalCluster
from lab.providers.servers import DaskScheduler, RedisService
from tests.contract.exactly_once import APART, representative
from tests.factories import listening
from tests.factories.intruders import ROOT, as_nobody, as_user, first_words, knock, say
from tests.factories.trials import look_in, spec_of

SECURITY = Path(__file__).parents[2] / "SECURITY.md"
# Commands of an attacker: to enqueue a task, to write files, to load code.
ATTACKS = (
    "LPUSH tasks hostile",
    "CONFIG SET dir /tmp",
    "CONFIG SET requirepass mine",
    "REPLICAOF 127.0.0.1 1",
    "MODULE LOAD /tmp/module.so",
    "EVAL return(1) 0",
    "FLUSHALL",
)
# The capabilities of cron, which switches to the user of a job; other containers have none.
CAPABILITIES = ["DAC_READ_SEARCH", "SETGID", "SETUID"]
MINUTE_S = 60.0
REFUSALS = {"-NOAUTH", "closed", "401", "404"}
OFFERED = LocalCluster.offered()  # once, because it starts programs
LOCAL = [
    label
    for name, backend in registry.backends().items()
    for label in representative(name, [variant.name for variant in backend.variants])
    if set(services_of(backend, registry.select(label).variant)) <= OFFERED
    and not registry.needed_python(backend)
    and name not in APART
]
WITH_CONTAINERS = (
    "rq[worker]",
    "celery[prefork+rabbitmq]",
    "django-q[redis+postgres]",
    "raw-sql[postgres]",
    "dask[distributed]",
)


def test_redis_rejects_commands_without_the_password(tmp_path: Path) -> None:
    """Threat S2: another user can neither enqueue a pickle for RQ nor write a file."""
    running = RedisService().start(tmp_path, (), {processes.OWNER: processes.owner()}, "secret")
    try:
        port = urlsplit(running.endpoint).port
        assert as_nobody(say, port, *ATTACKS) == " ".join(["-NOAUTH"] * len(ATTACKS))
        assert as_nobody(say, port, "AUTH guess", *ATTACKS[:1]) == "-WRONGPASS -NOAUTH"
        assert say(port or 0, "AUTH secret", "LPUSH tasks ours") == "+OK :1"
    finally:
        processes.stop(running.process)


def test_redis_of_the_host_baseline_accepts_only_pushes() -> None:
    """It has no password, because redis-benchmark accepts one only as an argument."""
    with redis_benchmark.new_redis() as (port, _):
        pushed, *others = as_nobody(say, port, *ATTACKS).split(" ")
    assert pushed == ":1"
    # Valkey has disabled MODULE before it looks at permissions, and answers -ERR.
    assert {*others} <= {"-NOPERM", "-ERR"}
    assert others.count("-NOPERM") >= len(ATTACKS) - 2


def test_dask_closes_connections_of_other_users(tmp_path: Path) -> None:
    """The scheduler executes code of its peers, so it closes a connection before reading it."""
    running = DaskScheduler().start(tmp_path, (), {processes.OWNER: processes.owner()}, "")
    try:
        port = urlsplit(running.endpoint).port or 0
        assert as_nobody(knock, port) == "closed"
        assert first_words(port, b"") != ""  # it greets its own user
    finally:
        processes.stop(running.process)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_user_of_peer_is_known_while_a_process_holds_the_socket(host: str) -> None:
    """The kernel lists a closed socket under root, so that its user is unknown."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        here = server.getsockname()[:2]
        with socket.create_connection(here) as connection:
            accepted, there = server.accept()
            with accepted:
                assert procfs.user_of_peer(there[:2], here) == os.geteuid()
                assert procfs.user_of_peer(here, there[:2]) == os.geteuid()
                assert procfs.user_of_peer((host, 1), here) is None
                connection.sendall(b"what a server would read")
                connection.close()
                assert procfs.user_of_peer(there[:2], here) is None


def spec_for(label: str, provider: str) -> TrialSpec:
    """Return a trial in which the backend also starts its monitor or its scheduler, if any."""
    chosen = registry.select(label)
    promised = capabilities(chosen.backend, chosen.variant)
    if not promised & {Capability.SUBMIT, Capability.BATCH}:
        finest_s = chosen.backend.finest_period_s
        every_minute = Periodic(1, 1, cron="* * * * *")
        arrival = Periodic(1, 1, every_s=finest_s) if finest_s < MINUTE_S else every_minute
        return spec_of(label, arrival=arrival, provider=provider)
    if provider == "local" and Capability.MONITOR in promised:
        return spec_of(label, arrival=Monitoring(5))
    return spec_of(label, arrival=Burst(5), provider=provider)


def table(provider: str, label: str) -> list[tuple[str, str]]:
    """Return process and address of each row of SECURITY.md for a variant."""
    text = SECURITY.read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    listeners = []
    for where, systems, process, address, *_ in (map(str.strip, row) for row in rows):
        prefixes = tuple(re.findall(r"`([^`]+)`", systems))
        if where == provider and label.startswith(prefixes):
            listeners.append((process, address))
    return listeners


def check(spec: TrialSpec, folder: Path, label: str) -> None:
    """Run a trial; check arguments and sockets during it, and files after it."""
    passwords, shown, answers = list[str](), list[str](), list[str]()
    sockets = set[listening.Socket]()

    def look(cluster: Cluster) -> None:
        passwords.append(cluster.password)
        lines = (" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"]))
        shown.extend(line for line in lines if cluster.password in line)
        pids = [pid for part in cluster.processes().values() for pid in part]
        # Only root can read the sockets of processes in containers, which have other users.
        sockets.update(as_user(ROOT, listening.of, pids))
        if spec.provider == "local":  # the ports of containers are not reachable
            ports = [item.port for item in sockets if item.address.startswith("TCP")]
            answers.extend(as_nobody(knock, port) for port in ports)

    row = look_in(folder, spec, look).row
    assert (row.status, row.reason) == ("ok", "")
    assert shown == []
    (password,) = passwords
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert "trial.json" in {file.name for file in files}
    assert [file for file in files if password.encode() in file.read_bytes()] == []
    assert password not in repr(row)
    assert {item[:2] for item in sockets} == {*table(spec.provider, label)}
    assert set(answers) <= REFUSALS


@pytest.mark.slow
@pytest.mark.parametrize("label", LOCAL)
def test_trial_is_closed_to_other_users(label: str, tmp_path: Path) -> None:
    """No argument or file contains the password; every listener is known and rejects others."""
    check(spec_for(label, "local"), tmp_path, label)


@pytest.mark.cluster
@pytest.mark.parametrize("label", WITH_CONTAINERS)
@pytest.mark.usefixtures("containers")
def test_trial_in_containers_is_closed_to_other_users(label: str, tmp_path: Path) -> None:
    """The same for processes in containers, and for Docker's command."""
    check(spec_for(label, "compose"), tmp_path, label)


@pytest.mark.cluster
def test_every_container_is_confined() -> None:
    """Servers, nodes and driver are read-only, without capabilities, and have limits."""
    required = ("RUN", "OWNER", "TRIAL", "PASSWORD", "NODE_IMAGE")
    environment = {f"LAB_{name}": "test" for name in required}
    command = ("compose", "-f", str(FILE), "--profile", "*", "config", "--format", "json")
    services = json.loads(docker_command.run(*command, environment=environment))["services"]
    assert {"redis", "rabbitmq", "postgres", "dask-scheduler", "cron", "node"} <= {*services}
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"] == 4096, name
        assert int(service["mem_limit"]) == int(service["memswap_limit"]) > 0, name
        assert service["logging"]["options"] == {"max-file": "1", "max-size": "20m"}, name
        assert service.get("cap_add", []) == (CAPABILITIES if name == "cron" else []), name
        assert not service.get("ports"), name
