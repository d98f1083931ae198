"""What the containers of a cluster listen on, and what they have connected to.

Each is asked for the tables of its network namespace, so the engine may be on another machine.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

import psutil

from lab.connections import Connection, Parts
from lab.engine import docker

# Of the kernel's table; IPv6 may be switched off.
TABLES = "cat /proc/net/tcp; cat /proc/net/tcp6 2>/dev/null || true"
STATES = {"01": psutil.CONN_ESTABLISHED, "02": psutil.CONN_SYN_SENT, "0A": psutil.CONN_LISTEN}
ANY = ("0.0.0.0", "::")  # noqa: S104 (to compare with)
LOOPBACK = ("127.", "::1")
IPV4_BYTES = 4
_NETWORKS = "{{json .NetworkSettings.Networks}}"


def look(
    ids: Mapping[str, str], servers: Collection[str], workers: Collection[str]
) -> tuple[Parts, list[Connection]]:
    """Return the containers `ids` (by name) as parts of a trial, and their connections.

    A container counts as one process, numbered in the order of `ids`.

    Raises:
        ClusterError: The engine refuses, or a container has ended.
    """
    numbers = {name: number for number, name in enumerate(ids)}
    networks = docker("inspect", "--format", _NETWORKS, *ids.values()).decode().splitlines()
    found = []
    for (name, identity), line in zip(ids.items(), networks, strict=True):
        addresses = [one["IPAddress"] for one in json.loads(line).values() if one["IPAddress"]]
        table = docker("exec", identity, "sh", "-c", TABLES).decode()
        found += read(table, numbers[name], name, addresses)
    everyone = {name: {number} for name, number in numbers.items()}
    at_work = {name: pids for name, pids in everyone.items() if name in workers}
    return Parts({numbers[name] for name in ids if name in servers}, at_work, everyone), found


def read(table: str, number: int, name: str, addresses: Sequence[str]) -> list[Connection]:
    """Return what a container listens on and has connected to, from the kernel's `table`.

    Connections that it has accepted are left out: those who made them show them. Loopback is
    another one in each container, so its addresses bear the container's name.
    """
    rows = [line.split() for line in table.splitlines() if ":" in line.split()[0]]
    seen = [(address(row[1]), address(row[2]), STATES[row[3]]) for row in rows if row[3] in STATES]
    ports = {here[1] for here, _, state in seen if state == psutil.CONN_LISTEN}
    return [
        Connection(number, (_of(name, host), here[1]), (_of(name, there[0]), there[1]), state)
        for here, there, state in seen
        if state == psutil.CONN_LISTEN or here[1] not in ports
        for host in _hosts(here[0], addresses)
    ]


def _hosts(host: str, addresses: Sequence[str]) -> Iterator[str]:
    yield from [*addresses, "127.0.0.1", "::1"] if host in ANY else [host]


def _of(name: str, host: str) -> str:
    return f"{host} of {name}" if host.startswith(LOOPBACK) else host


def address(text: str) -> tuple[str, int]:
    """Read one end as the kernel writes it: words of hexadecimal digits in the order of the CPU."""
    number, _, port = text.partition(":")
    words = [int(number[at : at + 8], 16) for at in range(0, len(number), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    family = socket.AF_INET6 if len(packed) > IPV4_BYTES else socket.AF_INET
    return socket.inet_ntop(family, packed).removeprefix("::ffff:"), int(port, 16)
