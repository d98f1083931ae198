"""Asks the servers of a cluster for their own counters, over one connection each.

It runs in the driver: from there every provider's servers are reached in the same way, and nothing
has to be opened for it. What our own asking adds is taken off the counts, and what it costs the
driver is among the samples. A server that does not count, or says so in no way that is cheap and
documented, has no reader: what its container uses is read from outside (`lab.providers.cgroups`).
"""

from __future__ import annotations

import http.client
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

PERIOD_S = 1.0
PATIENCE_S = 2.0


class Sample(NamedTuple):
    """One reading of one counter."""

    t_ns: int
    source: str
    metric: str
    unit: str
    value: float


Counts = Mapping[tuple[str, str], float]
"""Counter and unit -> value."""


class Reader(Protocol):
    """Asks one server; made with its endpoint."""

    def read(self) -> Counts:
        """Read now, without what our asking adds."""

    def close(self) -> None:
        """Leave the server alone."""


class Redis:
    """`INFO`, one command of some 60 us for the server (Redis docs, Commands, INFO)."""

    FACTS: Mapping[str, tuple[str, str]] = {
        "total_commands_processed": ("commands", "1"),
        "connected_clients": ("clients", "1"),
        "used_memory": ("memory_bytes", "bytes"),
        "used_memory_peak": ("memory_peak_bytes", "bytes"),
        "total_net_input_bytes": ("received_bytes", "bytes"),
        "total_net_output_bytes": ("sent_bytes", "bytes"),
    }
    ASK = b"INFO\r\n"

    def __init__(self, endpoint: str) -> None:
        where = urlsplit(endpoint)
        self._socket = socket.create_connection((where.hostname, where.port or 0), PATIENCE_S)
        self._answers = self._socket.makefile("rb")
        # A server that wants no password would refuse one: then there is nothing to take off.
        greeting = f"AUTH {where.password}\r\n".encode() if where.password else b""
        self._socket.sendall(greeting)
        self._asked = int(bool(greeting))
        self._asked_bytes = len(greeting)
        self._answered_bytes = len(self._answers.readline()) if greeting else 0

    def read(self) -> Counts:
        """Read now; neither earlier questions nor this one are counted."""
        self._socket.sendall(self.ASK)
        self._asked_bytes += len(self.ASK)
        header = self._answers.readline()
        text = self._answers.read(int(header[1:]) + 2)
        told = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
        ours = {
            "total_commands_processed": self._asked,
            "connected_clients": 1,
            "total_net_input_bytes": self._asked_bytes,
            "total_net_output_bytes": self._answered_bytes,
        }
        self._asked += 1
        self._answered_bytes += len(header) + len(text)
        return {fact: float(told[name]) - ours.get(name, 0) for name, fact in self.FACTS.items()}

    def close(self) -> None:
        """Close the connection."""
        self._answers.close()
        self._socket.close()


class RabbitMq:
    """The page of its Prometheus plugin, which the official image switches on.

    Making it takes the server some 6 ms. It says itself how long, and that is a sample too.
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
        host = urlsplit(endpoint).hostname or ""
        self._page = http.client.HTTPConnection(host, self.PORT, timeout=PATIENCE_S)

    def read(self) -> Counts:
        """Read now, summed over kinds of queues."""
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
    """One query of what is exact at once: ids given to transactions that wrote, and the log.

    The counters of pg_stat_database come up to a second late (PostgreSQL docs, The Cumulative
    Statistics System), as long as a window may last.
    """

    QUERY = """
        SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
               pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint,
               count(*) - 1
        FROM pg_stat_activity WHERE backend_type = 'client backend'
    """
    FACTS = (("transactions", "1"), ("log_bytes", "bytes"), ("clients", "1"))

    def __init__(self, endpoint: str) -> None:
        import psycopg

        wait_s = round(PATIENCE_S)
        self._connection = psycopg.connect(endpoint, autocommit=True, connect_timeout=wait_s)

    def read(self) -> Counts:
        """Read now; the query itself writes nothing, and its connection is not counted."""
        row = self._connection.execute(self.QUERY).fetchone() or ()
        return dict(zip(self.FACTS, map(float, row), strict=True))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


# Which of its counters are commands, for each server that has a reader; and bytes, where it counts
# them.
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


class Watch:
    """Reads at `start`, each second in a thread of its own, and at `stop`; `samples` has it all.

    A server that does not answer is told on standard error, and asked no more: if it has died,
    the cluster knows.
    """

    def __init__(self, endpoints: Mapping[str, str], period_s: float = PERIOD_S) -> None:
        self.samples: list[Sample] = []
        self._left = {name: where for name, where in endpoints.items() if name in READERS}
        self._readers: dict[str, Reader] = {}
        self._period_s, self._spent_ns = period_s, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="counters", daemon=True)

    def start(self) -> None:
        """Connect and read; without a server that counts, nothing is done, now or later."""
        if self._left:
            self._read_all()
            self._thread.start()

    def stop(self) -> None:
        """Read once more, and leave the servers alone."""
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
        begun_ns = time.thread_time_ns()
        for name, endpoint in list(self._left.items()):
            try:
                if name not in self._readers:
                    self._readers[name] = READERS[name](endpoint)
                counts = self._readers[name].read()
            except Exception as error:  # noqa: BLE001 (each client has errors of its own)
                del self._left[name]
                sys.stderr.write(f"{name} tells its counters no more: {error}\n")
            else:
                now_ns = time.monotonic_ns()
                self.samples += [Sample(now_ns, name, *fact, v) for fact, v in counts.items()]
        self._spent_ns += time.thread_time_ns() - begun_ns
        spent_s = self._spent_ns / 1e9
        self.samples.append(Sample(time.monotonic_ns(), "driver", "counters_cpu_s", "s", spent_s))
