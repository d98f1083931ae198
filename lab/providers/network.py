"""Lists the listening sockets and outgoing connections of a cluster's containers.

They are read from /proc/net in each container, so the engine may be on another machine.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

import psutil

from lab.host.connections import Connection, Parts
from lab.providers import container_process
from lab.providers.compose_parts import ContainerPart
from lab.providers.engine import engine

# IPv6 may be switched off.
TABLES = "cat /proc/net/tcp; cat /proc/net/tcp6 2>/dev/null || true"
# TIME_WAIT, because a worker may close its connection after each task: the kernel lists it for a
# minute more.
STATES = {
    "01": psutil.CONN_ESTABLISHED,
    "02": psutil.CONN_SYN_SENT,
    "06": psutil.CONN_TIME_WAIT,
    "0A": psutil.CONN_LISTEN,
}
ANY = ("0.0.0.0", "::")  # noqa: S104 (to compare with)
LOOPBACK = ("127.", "::1")
IPV4_BYTES = 4


def look(
    parts: Mapping[str, ContainerPart], servers: Collection[str], workers: Collection[str]
) -> tuple[Parts, list[Connection]]:
    """Return containers (by name) as parts of a trial, and their connections.

    A container counts as one process; its number is its position in `parts`.

    Raises:
        ClusterError: The engine reports an error, or a container has ended.
    """
    numbers = {name: number for number, name in enumerate(parts)}
    connections = []
    for name, part in parts.items():
        with engine(part.address) as client:
            settings = client.api.inspect_container(part.id)["NetworkSettings"]
        networks = settings["Networks"].values()
        addresses = [network["IPAddress"] for network in networks if network["IPAddress"]]
        table = container_process.run(part.id, "sh", "-c", TABLES, address=part.address).decode()
        connections += read(table, numbers[name], name, addresses)
    described = Parts(
        {numbers[name] for name in parts if name in servers},
        {name: {number} for name, number in numbers.items() if name in workers},
        {name: {number} for name, number in numbers.items()},
    )
    return described, connections


def read(table: str, number: int, name: str, addresses: Sequence[str]) -> list[Connection]:
    """Return the listening sockets and outgoing connections of a container from /proc/net/tcp.

    Accepted connections are left out, because the other container lists them as outgoing. Each
    container has a loopback of its own, so loopback addresses get the container's name.
    """
    rows = [line.split() for line in table.splitlines() if ":" in line.split()[0]]
    ends = [(address(row[1]), address(row[2]), STATES[row[3]]) for row in rows if row[3] in STATES]
    ports = {here[1] for here, _, state in ends if state == psutil.CONN_LISTEN}
    return [
        Connection(number, (_of(name, host), here[1]), (_of(name, there[0]), there[1]), state)
        for here, there, state in ends
        if state == psutil.CONN_LISTEN or here[1] not in ports
        for host in _hosts(here[0], addresses)
    ]


def _hosts(host: str, addresses: Sequence[str]) -> Iterator[str]:
    yield from [*addresses, "127.0.0.1", "::1"] if host in ANY else [host]


def _of(name: str, host: str) -> str:
    return f"{host} of {name}" if host.startswith(LOOPBACK) else host


def address(text: str) -> tuple[str, int]:
    """Parse an address of /proc/net/tcp: 32-bit hexadecimal words in the CPU's byte order."""
    number, _, port = text.partition(":")
    words = [int(number[at : at + 8], 16) for at in range(0, len(number), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    family = socket.AF_INET6 if len(packed) > IPV4_BYTES else socket.AF_INET
    # A socket of IPv6 shows an IPv4 peer as a mapped address; the peer lists it as IPv4.
    return socket.inet_ntop(family, packed).removeprefix("::ffff:"), int(port, 16)
