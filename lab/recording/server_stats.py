"""Reads the counters of a cluster's servers, over one connection to each.

It runs in the driver, which reaches the servers of every provider in the same way, without another
open port. The lab's own requests are subtracted from the counters, and their CPU cost in the driver
is one of the samples. A server without counters, or without a cheap and documented way to read
them, has no reader; the use of its container is read from outside (`lab.providers.cgroups`).
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from lab.recording.sample import Sample

PERIOD_S = 1.0
PATIENCE_S = 2.0


Counts = Mapping[tuple[str, str], float]
"""Counter and unit -> value."""


class Reader(Protocol):
    """Reads the counters of one server; the constructor takes its endpoint."""

    def read(self) -> Counts:
        """Return the present counts without the lab's own requests."""

    def close(self) -> None:
        """Close the connection."""


class Redis:
    """Reads Redis by `INFO`, which takes the server some 60 us (Redis docs, Commands, INFO)."""

    FACTS: Mapping[str, tuple[str, str]] = {
        "total_commands_processed": ("commands", "1"),
        "connected_clients": ("clients", "1"),
        "used_memory": ("memory_bytes", "bytes"),
        "used_memory_peak": ("memory_peak_bytes", "bytes"),
        "total_net_input_bytes": ("received_bytes", "bytes"),
        "total_net_output_bytes": ("sent_bytes", "bytes"),
    }
    REQUEST = b"INFO\r\n"

    def __init__(self, endpoint: str) -> None:
        where = urlsplit(endpoint)
        self._socket = socket.create_connection((where.hostname, where.port or 0), PATIENCE_S)
        self._answers = self._socket.makefile("rb")
        # A server without a password rejects AUTH.
        greeting = f"AUTH {where.password}\r\n".encode() if where.password else b""
        self._socket.sendall(greeting)
        self._n_requests = int(bool(greeting))
        self._sent_bytes = len(greeting)
        self._received_bytes = len(self._answers.readline()) if greeting else 0

    def read(self) -> Counts:
        """Return the present counts without this connection and its requests."""
        self._socket.sendall(self.REQUEST)
        self._sent_bytes += len(self.REQUEST)
        header = self._answers.readline()
        # The length in the header excludes the CR LF at the end of a bulk string.
        text = self._answers.read(int(header[1:]) + 2)
        info = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
        ours = {
            "total_commands_processed": self._n_requests,
            "connected_clients": 1,
            "total_net_input_bytes": self._sent_bytes,
            "total_net_output_bytes": self._received_bytes,
        }
        # Redis counts the bytes of a request on arrival, but a command and its answer afterwards:
        # in the text of this INFO, only its request is counted.
        self._n_requests += 1
        self._received_bytes += len(header) + len(text)
        return {fact: float(info[name]) - ours.get(name, 0) for name, fact in self.FACTS.items()}

    def close(self) -> None:
        """Close the connection."""
        self._answers.close()
        self._socket.close()


class RabbitMq:
    """Reads RabbitMQ by the page of its Prometheus plugin, which the official image enables.

    The page takes the server some 6 ms. It contains that duration, which is one of the samples.
    """

    PORT = 15692
    FACTS: Mapping[str, tuple[str, str]] = {
        "rabbitmq_global_messages_received_total": ("published", "1"),
        "rabbitmq_global_messages_delivered_total": ("delivered", "1"),
        "rabbitmq_global_messages_acknowledged_total": ("acknowledged", "1"),
        "rabbitmq_connections": ("clients", "1"),
        "rabbitmq_process_resident_memory_bytes": ("memory_bytes", "bytes"),
        "telemetry_scrape_duration_seconds_sum": ("sampling_s", "s"),
    }

    def __init__(self, endpoint: str) -> None:
        # Imported here, because it takes a tenth of a driver's start, and few trials have RabbitMQ.
        import http.client

        host = urlsplit(endpoint).hostname or ""
        self._page = http.client.HTTPConnection(host, self.PORT, timeout=PATIENCE_S)

    def read(self) -> Counts:
        """Return the present counts, summed over the types of queues."""
        self._page.request("GET", "/metrics", headers={"Accept": "text/plain"})
        counts: dict[tuple[str, str], float] = {}
        for line in self._page.getresponse().read().decode().splitlines():
            name, _, value = line.rpartition(" ")
            if fact := self.FACTS.get(name.partition("{")[0]):
                counts[fact] = counts.get(fact, 0.0) + float(value)
        return counts

    def close(self) -> None:
        """Close the connection."""
        self._page.close()


class Postgres:
    """Reads PostgreSQL by one query: ids of writing transactions, size of the log, and clients.

    These values are exact at once. The counters of pg_stat_database are up to one second late
    (PostgreSQL docs, The Cumulative Statistics System), which may be the length of a window.
    """

    QUERY = """
        SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
               pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint,
               count(*) - 1
        FROM pg_stat_activity WHERE backend_type = 'client backend'
    """
    FACTS = (("transactions", "1"), ("log_bytes", "bytes"), ("clients", "1"))

    def __init__(self, endpoint: str) -> None:
        # Imported here, because most trials have no PostgreSQL.
        import psycopg

        wait_s = round(PATIENCE_S)
        self._connection = psycopg.connect(endpoint, autocommit=True, connect_timeout=wait_s)

    def read(self) -> Counts:
        """Return the present counts; the query writes nothing, and its connection is subtracted."""
        row = self._connection.execute(self.QUERY).fetchone() or ()
        return dict(zip(self.FACTS, map(float, row), strict=True))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


# Server -> the counters that are commands, and the counters that are bytes if it has any.
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "redis": ("commands",),
    "rabbitmq": ("published", "delivered", "acknowledged"),
    "postgres": ("transactions",),
}
BYTES: Mapping[str, tuple[str, ...]] = {"redis": ("received_bytes", "sent_bytes")}

READERS: Mapping[str, Callable[[str], Reader]] = {
    "redis": Redis,
    "rabbitmq": RabbitMq,
    "postgres": Postgres,
}


class ServerSampler:
    """Reads all servers at `start`, every second in a thread, and at `stop`, into `samples`.

    A server that does not answer is reported on standard error and not read again. If it has died,
    the cluster reports it.
    """

    def __init__(self, endpoints: Mapping[str, str], period_s: float = PERIOD_S) -> None:
        self.samples: list[Sample] = []
        self._endpoints = {name: where for name, where in endpoints.items() if name in READERS}
        self._readers: dict[str, Reader] = {}
        self._period_s, self._spent_ns = period_s, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="counters", daemon=True)

    def start(self) -> None:
        """Connect, read once, and start the thread; without a server to read, do nothing."""
        if self._endpoints:
            self._read_all()
            self._thread.start()

    def stop(self) -> None:
        """Read once more, and close the connections."""
        # Without a server to read the thread never started, and a join would raise.
        if self._thread.ident is not None:
            self._ended.set()
            self._thread.join()
            self._read_all()
        for reader in self._readers.values():
            reader.close()

    def _run(self) -> None:
        while not self._ended.wait(self._period_s):
            self._read_all()

    def _read_all(self) -> None:
        # CPU time and not elapsed time: waiting for a server takes nothing from the driver.
        begin_ns = time.thread_time_ns()
        # A copy, because a server that does not answer is removed in this loop.
        for name, endpoint in list(self._endpoints.items()):
            try:
                if name not in self._readers:
                    self._readers[name] = READERS[name](endpoint)
                counts = self._readers[name].read()
            except Exception as error:  # noqa: BLE001 (each client has its own exceptions)
                del self._endpoints[name]
                sys.stderr.write(f"The counters of {name} are not read any more: {error}\n")
            else:
                now_ns = time.monotonic_ns()
                self.samples += [
                    Sample(t_ns=now_ns, source=name, metric=metric, value=value, unit=unit)
                    for (metric, unit), value in counts.items()
                ]
        self._spent_ns += time.thread_time_ns() - begin_ns
        now_ns, spent_s = time.monotonic_ns(), self._spent_ns / 1e9
        name = "counters_cpu_s"
        cost = Sample(t_ns=now_ns, source="driver", metric=name, value=spent_s, unit="s")
        self.samples.append(cost)
