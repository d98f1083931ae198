"""Tests the agent of a node: what it serves, to whom, and that it needs no package."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.core.errors import ClusterError
from lab.recording import agent_connection, node_agent
from lab.recording.agent_connection import AgentConnection
from lab.recording.node_agent import NodeAgent, checksum
from lab.recording.node_clock import NodeClock, offset_reading
from lab.worker import ledger
from tests.factories.agents import (
    LOOPBACK,
    TOKEN,
    AgentProcess,
    address_of,
    connected,
    served,
    write_ledger,
)
from tests.factories.skewed_clocks import HOUR_NS

ROOT = Path(__file__).parents[3]


def test_the_agent_needs_no_package() -> None:
    """It starts in a Python without site-packages."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import lab.recording.node_agent"
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)


@pytest.mark.parametrize("token", ["", TOKEN[:-1], f"{TOKEN}0", "x" * 10_000])
def test_another_token_gets_no_answer(token: str, tmp_path: Path) -> None:
    """The connection is closed before its first request."""
    with served(tmp_path) as port:
        connection = AgentConnection(address_of(port), token)
        with connection, pytest.raises(ClusterError):
            connection.finished(range(10))
    with pytest.raises(ClusterError, match="refused"):
        AgentConnection(address_of(port), TOKEN)


def test_a_reading_of_the_own_clock_has_no_offset(tmp_path: Path) -> None:
    """Every exchange has its instants in order, and the best one bounds the offset, which is 0."""
    with connected(tmp_path) as connection:
        for _ in range(100):
            exchange = connection.exchange()
            assert list(exchange) == sorted(exchange)
        reading = offset_reading(connection.exchanges())
    assert abs(reading.node_ns - reading.driver_ns) <= reading.error_ns


def test_a_clock_that_is_hours_off_and_drifts_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instants of the node agree with those of this process within their bound."""
    begin_ns = time.monotonic_ns()

    def skewed_ns() -> int:
        now_ns = time.monotonic_ns()
        return now_ns + 9 * HOUR_NS + (now_ns - begin_ns) * 50 // 1_000_000

    monkeypatch.setattr(node_agent, "monotonic_ns", skewed_ns)
    taken, instants_ns = [], []
    with connected(tmp_path) as connection:
        for _ in range(3):
            taken.append(offset_reading(connection.exchanges()))
            before_ns, node_ns, after_ns = time.monotonic_ns(), skewed_ns(), time.monotonic_ns()
            instants_ns.append((before_ns, node_ns, after_ns))
            time.sleep(0.05)
    clock = NodeClock(taken)
    for before_ns, node_ns, after_ns in instants_ns:
        bound_ns = clock.bound_ns(node_ns)
        assert before_ns - bound_ns <= clock.to_driver(node_ns) <= after_ns + bound_ns


def test_finished_tasks_are_counted_while_they_finish(tmp_path: Path) -> None:
    """Tasks of other phases do not count; nor does one that is running."""
    with connected(tmp_path) as connection:
        assert connection.finished(range(10, 20)) == 0
        write_ledger(tmp_path, "1-0-7-1", range(8, 13))
        assert connection.finished(range(10, 20)) == 3
        write_ledger(tmp_path, "1-0-8-2", range(13, 15))
        assert connection.finished(range(10, 20)) == 5
        assert connection.finished(range(10)) == 2


def test_running_tasks_are_counted(tmp_path: Path) -> None:
    """One has started and not finished; one of another phase does not count."""
    words = ledger.create(str(tmp_path / "1-0-7-1.bin"), 1, 0, 8)
    for row, task_id in enumerate((9, 10, 11), start=1):
        words[row * ledger.WORDS], words[row * ledger.WORDS + 2] = task_id, 1_000
    ledger.finish(words, 2 * ledger.WORDS, 2_000, 0)
    with connected(tmp_path) as connection:
        assert connection.running(range(10, 20)) == 1
        assert connection.finished(range(10, 20)) == 1
        ledger.finish(words, 3 * ledger.WORDS, 2_000, 0)
        assert connection.running(range(10, 20)) == 0


def test_a_transfer_has_a_rate_and_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It moves 16 MiB at most, and ends in time on a slow network."""
    with connected(tmp_path) as connection:
        rate = connection.bandwidth()
        assert 0 < rate < 1e12
        # The connection is at its end: all bytes of the transfer have arrived.
        assert connection.finished(range(10)) == 0
    monkeypatch.setattr(agent_connection, "TRANSFER_NS", 0)
    with connected(tmp_path) as connection:
        assert connection.bandwidth() == 0
    with served(tmp_path) as port, socket.create_connection((LOOPBACK, port), 10) as link:
        link.sendall(f"{TOKEN}\nzeros {2**40}\n".encode())
        with link.makefile("rb") as answers:
            assert int(answers.readline()) == node_agent.MOST_ZEROS


def test_an_agent_that_was_killed_counts_the_same_again(tmp_path: Path) -> None:
    """The count is a function of the files."""
    write_ledger(tmp_path, "1-0-7-1", range(5))
    agent = AgentProcess(tmp_path)
    try:
        for _ in range(2):
            with AgentConnection(address_of(agent.port), TOKEN) as connection:
                assert connection.finished(range(100)) == 5
                agent.kill()
                with pytest.raises(ClusterError):
                    connection.finished(range(100))
            agent.start()
    finally:
        agent.kill()


def test_only_records_are_listed_and_read(tmp_path: Path) -> None:
    """Neither a link nor a file of a task is one, and no name leads out of the folder."""
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    record = write_ledger(ledger, "1-0-7-1", range(3))
    (tmp_path / "secret.bin").write_bytes(b"secret")
    (ledger / "1-0-7-9.bin").symlink_to(tmp_path / "secret.bin")
    (ledger / "of a task.bin").write_bytes(b"other")
    (ledger / "1-0-7-8.bin").mkdir()
    with connected(ledger) as connection:
        assert [file.name for file in connection.records().files] == [record.name]
        for name in ("../secret.bin", "1-0-7-9.bin", "of", "1-0-7-8.bin", "1-0-7-2.bin"):
            with pytest.raises(ClusterError, match="no record"):
                list(connection.read(name, 0))
        # The connection is still in use after an error.
        assert b"".join(connection.read(record.name, 0)) == record.read_bytes()
        assert b"".join(connection.read(record.name, 500)) == record.read_bytes()[500:]
        assert list(connection.read(record.name, 10_000)) == []
        with pytest.raises(ClusterError, match="answered error"):
            list(connection.read(record.name, -1))


@pytest.mark.parametrize(
    "line",
    [
        *(b"\n", b"unknown\n", b"finished 1\n", b"finished a b\n", b"read\n", b"\xff\xfe\n"),
        *(b"zeros\n", b"zeros -1\n", b"running 1\n"),
    ],
)
def test_a_request_that_is_none_is_an_error(line: bytes, tmp_path: Path) -> None:
    """The agent answers, and goes on."""
    with served(tmp_path) as port, socket.create_connection((LOOPBACK, port), 10) as connection:
        connection.sendall(f"{TOKEN}\n".encode() + line + b"finished 0 1\n")
        with connection.makefile("rb") as answers:
            assert answers.readline().startswith(b"error: ")
            assert answers.readline() == b"0\n"


def test_a_name_that_leads_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that runs with the rights of the agent could list any name."""
    listed = {"free": 10**9, "files": [("../../1-0-7-1.bin", 1, "")]}
    monkeypatch.setattr(NodeAgent, "listing", lambda self: listed)
    with (
        connected(tmp_path) as connection,
        pytest.raises(ClusterError, match="no name of a record"),
    ):
        connection.records()


def test_a_checksum_is_of_the_whole_file(tmp_path: Path) -> None:
    """The known answer for an empty file, and another for each content."""
    path = tmp_path / "x.bin"
    path.touch()
    size, digest = checksum(path, tmp_path)
    assert (size, digest[:16]) == (0, "e3b0c44298fc1c14")
    path.write_bytes(bytes(3 << 20))
    assert checksum(path, tmp_path)[0] == 3 << 20
    assert checksum(path, tmp_path)[1] != digest
