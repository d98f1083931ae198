"""Tests that servers in containers keep their data over SIGKILL and a restart, as configured.

A program in the driver's container writes fifty records, each with the server's reply, and counts
those that remain.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from lab.core.faults import FaultKind, Persistence, Role, of_kind
from lab.core.model import Service
from lab.providers import container_process
from lab.providers.compose_override import DRIVER, SETUP
from tests.cluster.containers import standing
from tests.factories.trials import spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("containers")]

N, SETTLES_S = 50, 5.0
ENDPOINTS = "import json, os\nat = json.loads(os.environ['LAB_SETUP'])['endpoints']\n"
CONNECT = {
    Service.REDIS: """
import redis
client = redis.Redis.from_url(at['redis'])
""",
    Service.POSTGRES: """
import psycopg
client = psycopg.connect(at['postgres'], autocommit=True)
""",
    Service.RABBITMQ: """
import socket
from kombu import Connection, Consumer, Queue
client = Connection(at['rabbitmq'], transport_options={'confirm_publish': True})
channel = client.default_channel
queue = Queue('kept', queue_arguments={'x-queue-type': KIND})(channel)
""",
}
WRITE = {
    Service.REDIS: "for n in range(50): client.set(f'key {n}', n)",
    Service.POSTGRES: """
client.execute('create table kept (n int)')
for n in range(50):
    client.execute('insert into kept values (%s)', (n,))
""",
    Service.RABBITMQ: """
queue.declare()
producer = client.Producer()
for n in range(50):
    producer.publish(n, routing_key='kept', delivery_mode=2)
""",
}
COUNT = {
    Service.REDIS: "print(client.dbsize())",
    Service.POSTGRES: "print(client.execute('select count(*) from kept').fetchone()[0])",
    Service.RABBITMQ: """
received = []
channel.basic_qos(0, 50, False)
with Consumer(channel, [queue], callbacks=[lambda body, _: received.append(body)]):
    try:
        while len(received) < 50:
            client.drain_events(timeout=10)
    except socket.timeout:
        pass
print(len(received))
""",
}
# A server that is starting refuses connections.
PATIENT = """
import subprocess, sys, time
for _ in range(60):
    done = subprocess.run([sys.executable, '-c', sys.argv[1]], capture_output=True, text=True)
    if done.returncode == 0:
        break
    time.sleep(0.5)
print(done.stdout or done.stderr)
"""
CASES = {
    Persistence.NONE: ("raw-redis", Service.REDIS, 0),
    Persistence.AOF_EVERYSEC: ("raw-redis", Service.REDIS, N),
    Persistence.AOF_ALWAYS: ("raw-redis", Service.REDIS, N),
    "postgres": ("raw-sql[postgres]", Service.POSTGRES, N),
    "classic": ("raw-amqp", Service.RABBITMQ, N),
    "quorum": ("raw-amqp", Service.RABBITMQ, N),
}


@pytest.mark.parametrize("kind", CASES)
def test_records_that_remain_after_sigkill_depend_on_the_server(kind: str, tmp_path: Path) -> None:
    """A restarted container has its volume; only Redis without persistence loses records.

    RabbitMQ has confirmed each message: without confirms, a durable classic queue lost all of them
    (observed).
    """
    label, server, expected = CASES[kind]
    persistence = kind if server is Service.REDIS else ""
    fault = replace(of_kind(FaultKind.BROKER_KILL), persistence=persistence)
    spec = spec_of(label, provider="compose", fault=fault)
    with standing(spec, tmp_path / spec.id) as cluster:
        driver = cluster.parts[DRIVER].id
        variables = {SETUP: cluster._environment[SETUP]}

        def run(program: str) -> str:
            whole = ENDPOINTS + CONNECT[server].replace("KIND", repr(kind)) + program
            argv = ("python", "-c", PATIENT, whole)
            return container_process.run(driver, *argv, environment=variables).decode().strip()

        assert run(WRITE[server]) == ""
        # A quorum queue that is declared just before SIGKILL never answers again (observed).
        time.sleep(SETTLES_S)
        (target,) = cluster.targets(Role.BROKER)
        assert "137" in cluster.kill(target)
        assert server in cluster.dead_parts()
        cluster.restart(server)
        assert run(COUNT[server]) == str(expected)
        if persistence and persistence != Persistence.NONE:
            assert f"persistence {persistence}" in cluster.services
