"""Tests reading the counters of servers without the lab's own requests in them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from http import client
from pathlib import Path

import pytest

from lab.analysis.metrics.registry import trial_metrics
from lab.core.model import Burst
from lab.host import processes
from lab.providers.servers import RedisService
from lab.recording.sample import Sample
from lab.recording.server_stats import COMMANDS, READERS, Counts, ServerSampler
from lab.validation.trial_files import read_counters
from tests.factories.trials import run, spec_of

# A page in the format of the Prometheus plugin.
PAGE = """# TYPE rabbitmq_connections gauge
rabbitmq_connections 3
rabbitmq_global_messages_received_total{protocol="amqp091"} 7
rabbitmq_global_messages_delivered_total{protocol="amqp091",queue_type="classic"} 4
rabbitmq_global_messages_delivered_total{protocol="amqp091",queue_type="quorum"} 2
telemetry_scrape_duration_seconds_sum{registry="default",content_type="text/plain; version=0"} 0.25
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Start a Redis for this test only; return its endpoint."""
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: "counters"}
    running = RedisService().start(tmp_path, (), labels, "secret")
    yield running.endpoint
    processes.stop(running.process)


def by_name(counts: Counts) -> dict[str, float]:
    """Return the counts by name, without units."""
    return {name: value for (name, _), value in counts.items()}


def test_redis_counters_exclude_the_requests_of_the_reader(server: str) -> None:
    """Three readings are equal; after ten commands of another client exactly these are added."""
    reader = READERS["redis"](server)
    before = [by_name(reader.read()) for _ in range(3)]
    fixed = ("commands", "clients", "received_bytes", "sent_bytes")
    first = [before[0][name] for name in fixed]
    assert [[counts[name] for name in fixed] for counts in before] == [first] * 3
    port = int(server.rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as other, other.makefile("rb") as answers:
        other.sendall(b"AUTH secret\r\n")
        assert answers.readline() == b"+OK\r\n"
        for _ in range(10):
            other.sendall(b"SET key value\r\n")
            assert answers.readline() == b"+OK\r\n"
        after = by_name(reader.read())
    reader.close()
    assert [after[name] - before[0][name] for name in fixed] == [11, 1, 13 + 10 * 15, 11 * 5]
    assert after["memory_bytes"] > 0


def test_rabbitmq_counters_are_summed_over_types_of_queues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Values are summed over labels, and lines of other counters are ignored."""

    class Connection:
        """A connection whose answer is the page."""

        def __init__(self, host: str, port: int, timeout: float) -> None:
            assert (host, port, timeout > 0) == ("rabbitmq", 15692, True)

        def request(self, method: str, path: str, headers: Mapping[str, str]) -> None:
            assert (method, path, headers["Accept"]) == ("GET", "/metrics", "text/plain")

        def getresponse(self) -> Connection:
            return self

        def read(self) -> bytes:
            return PAGE.encode()

    monkeypatch.setattr(client, "HTTPConnection", Connection)
    assert READERS["rabbitmq"]("amqp://lab:lab@rabbitmq:5672//").read() == {
        ("clients", "1"): 3,
        ("published", "1"): 7,
        ("delivered", "1"): 6,
        ("sampling_s", "s"): 0.25,
    }


def test_a_watch_reads_at_both_ends_and_in_between(server: str) -> None:
    """Every reading has its instant, and a sample of its CPU cost in the driver."""
    watch = ServerSampler({"redis": server, "dask-scheduler": "tcp://nowhere:1"}, period_s=0.01)
    begin = time.monotonic_ns()
    watch.start()
    time.sleep(0.1)
    watch.stop()
    commands = [s for s in watch.samples if (s.source, s.metric) == ("redis", "commands")]
    costs = [s.value for s in watch.samples if s.metric == "counters_cpu_s"]
    assert len(commands) == len(costs) > 3
    assert begin < commands[0].t_ns < commands[-1].t_ns < time.monotonic_ns()
    assert {sample.value for sample in commands} == {commands[0].value}
    assert 0 < costs[0] < costs[-1]
    assert {sample.source for sample in watch.samples} == {"redis", "driver"}


def test_a_server_that_does_not_answer_is_reported_once_and_not_read_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its counters are missing, and the trial does not fail."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    watch = ServerSampler({"redis": f"redis://127.0.0.1:{port}/0"}, period_s=0.001)
    watch.start()
    time.sleep(0.02)
    watch.stop()
    assert {sample.source for sample in watch.samples} == {"driver"}
    assert capsys.readouterr().err.count("The counters of redis are not read any more: ") == 1


def test_without_a_server_to_read_no_thread_is_started() -> None:
    """A backend in the driver's process is not disturbed."""
    watch = ServerSampler({})
    watch.start()
    watch.stop()
    assert watch.samples == []
    assert watch._thread.ident is None


def test_a_trial_has_the_commands_and_bytes_of_its_broker(tmp_path: Path) -> None:
    """The row has those of the window, and the metrics those per task (M17d)."""
    result = run(tmp_path, spec_of("celery[threads]", arrival=Burst(100)))
    samples = result.tables["sample"]
    of_redis = samples[samples.source == "redis"].groupby("metric").value.agg(["first", "last"])
    change = of_redis["last"] - of_redis["first"]
    assert result.row.broker_commands == change["commands"]
    assert result.row.broker_bytes == change["received_bytes"] + change["sent_bytes"]
    tasks = result.tables["task"].query("phase == 'measure'")
    metrics = {metric.metric: metric.value for metric in trial_metrics(result.row, tasks)}
    # A task has at least a push, a pop and an acknowledgement, and a message above 500 bytes.
    assert 3 <= (metrics["broker_commands_per_task"] or 0) < 100
    assert 500 < (metrics["broker_bytes_per_task"] or 0) < 50_000
    assert (samples.query("source == 'driver' and metric == 'counters_cpu_s'").value > 0).all()


@pytest.mark.parametrize(
    ("label", "last_read_ns", "expected"),
    [
        ("rq", 11, (30, 50)),  # two counters of bytes: 20 and 30
        ("rq", 9, (None, None)),  # the server stopped answering before the end of the window
        ("celery[prefork+rabbitmq]", 11, (60, None)),  # no bytes, and three counters of commands
        ("dask[distributed]", 11, (None, None)),  # a server without a reader
        ("thread-pool", 11, (None, None)),
    ],
)
def test_counts_are_null_if_a_server_has_no_such_counter(
    label: str, last_read_ns: int, expected: tuple[int | None, int | None]
) -> None:
    """Several counters and servers are summed."""
    increase = {"commands": 30, "received_bytes": 20, "sent_bytes": 30}
    increase |= dict(zip(COMMANDS["rabbitmq"], (10, 20, 30), strict=True))
    samples = [
        asdict(Sample(t_ns=t_ns, source=source, metric=metric, value=value, unit="1"))
        for metric, growth in increase.items()
        for source in [("rabbitmq" if metric in COMMANDS["rabbitmq"] else "redis")]
        for t_ns, value in ((1, 5.0), (5, 5.0 + growth), (last_read_ns, 5.0 + growth))
    ]
    counters = read_counters(spec_of(label), {"t_end_ns": 10, "samples": samples})
    assert (counters["broker_commands"], counters["broker_bytes"]) == expected
