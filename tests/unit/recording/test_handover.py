"""Tests that no record is lost when a hand-over is cut, and that what is missing is reported."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import files
from lab.core.errors import DiskError
from lab.recording import agent_connection, handover
from lab.recording.handover import hand_over
from lab.recording.ledger_reader import executions
from lab.recording.node_agent import NodeAgent
from lab.worker import ledger
from tests.factories.agents import TOKEN, AgentProcess, address_of, served, write_ledger
from tests.factories.cutting_proxy import CuttingProxy

LONG_S = 30.0


@pytest.fixture(autouse=True, scope="module")
def _short_pauses() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(handover, "RETRY_S", 0.001)
        yield


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a node with four record files."""
    folder = tmp_path_factory.mktemp("node")
    for i in range(3):
        write_ledger(folder, f"1-0-7{i}-1", range(10 * i, 10 * i + 5))
    (folder / "1-0-70-9-3.error").write_text("ValueError: 3\n\n")
    return folder


@pytest.fixture(scope="module")
def port(node: Path) -> Iterator[int]:
    """Return the port of its agent."""
    with served(node) as port:
        yield port


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Return an empty folder for the copies."""
    folder = tmp_path / "copies"
    folder.mkdir()
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Return the content of each file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def hand_over_by(port: int, folder: Path, within_s: float = LONG_S) -> tuple[str, ...]:
    """Copy the records from an agent, and return the problems."""
    return hand_over(address_of(port), TOKEN, folder, within_s)


def test_every_record_arrives(node: Path, port: int, copies: Path) -> None:
    """A second call changes nothing, and there is no problem to report."""
    for _ in range(2):
        assert hand_over_by(port, copies) == ()
        assert content(copies) == content(node)


@given(cuts=st.lists(st.integers(0, 3_500), min_size=1, max_size=5))
def test_a_cut_at_any_byte_loses_nothing(node: Path, port: int, cuts: list[int]) -> None:
    """The network is cut within the list, within a file, between two, or before the first byte."""
    with tempfile.TemporaryDirectory() as folder, CuttingProxy(port, cuts) as proxy:
        assert hand_over_by(proxy.port, Path(folder)) == ()
        assert content(Path(folder)) == content(node)


def test_a_network_that_is_divided_loses_nothing(
    node: Path, port: int, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times no byte arrives any more, and no end of the connection is seen."""
    monkeypatch.setattr(agent_connection, "SILENCE_S", 0.1)
    with CuttingProxy(port, [0, 200, 1_500], is_silent=True) as proxy:
        assert hand_over_by(proxy.port, copies) == ()
    assert content(copies) == content(node)


def test_a_copy_continues_where_it_was_cut(tmp_path: Path, copies: Path) -> None:
    """Ten cuts of a file of 4 MB cost ten short lists of files, not ten times the file."""
    node = tmp_path / "node"
    node.mkdir()
    path = write_ledger(node, "1-0-7-1", range(65_000), rows=65_535)
    cuts = [400_000] * 10
    with served(node) as port, CuttingProxy(port, cuts) as proxy:
        assert hand_over_by(proxy.port, copies) == ()
        assert content(copies) == content(node)
        assert proxy.n_bytes < path.stat().st_size + 11 * 300


def test_an_agent_that_is_killed_goes_on_after_its_restart(tmp_path: Path, copies: Path) -> None:
    """It is killed three times in the middle of a file, by SIGKILL."""
    node = tmp_path / "node"
    node.mkdir()
    write_ledger(node, "1-0-7-1", range(65_000), rows=65_535)
    agent = AgentProcess(node)

    def restart() -> None:
        agent.kill()
        proxy.target = agent.start()

    try:
        with CuttingProxy(agent.port, [100_000, 0, 2_000_000], restart) as proxy:
            assert hand_over_by(proxy.port, copies) == ()
    finally:
        agent.kill()
    assert content(copies) == content(node)


def test_what_has_arrived_stays_when_the_agent_is_gone(tmp_path: Path, copies: Path) -> None:
    """The sentence has the count; rows of a half file can be read; a later call gets the rest."""
    node = tmp_path / "node"
    node.mkdir()
    for i in range(3):
        write_ledger(node, f"1-0-7{i}-1", range(5))
    # The list has 3 lines of 100 bytes or less, and each file has 576 bytes and a line.
    with served(node) as port, CuttingProxy(port, [1_200, *[0] * 1_000]) as proxy:
        (problem,) = hand_over_by(proxy.port, copies, within_s=0.0)
        assert problem.startswith("node 1: 1 of 3 record files arrived complete. ")
        (problem,) = hand_over_by(proxy.port, copies, within_s=0.0)
        assert problem.startswith(
            "node 1: its agent did not answer, so its records are missing or incomplete. "
        )
        half = sorted(copies.iterdir())[1]
        whole = node / half.name
        assert half.read_bytes() == whole.read_bytes()[: half.stat().st_size]
        n_rows = len(list(executions(half)[1]))
        assert 0 < n_rows < 5
        assert list(executions(half)[1]) == list(executions(whole)[1])[:n_rows]
        assert hand_over_by(port, copies) == ()
    assert content(copies) == content(node)


def test_a_node_without_an_agent_is_reported(copies: Path) -> None:
    """The sentence names the node and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    (problem,) = hand_over_by(port, copies, within_s=0.0)
    assert problem.startswith(
        "node 1: its agent did not answer, so its records are missing or incomplete. "
    )
    assert "refused" in problem


SMALL_DISK = """
import os, resource, signal, sys
from lab.worker import execution
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.environ |= {"LAB_LEDGER": sys.argv[2], "LAB_NODE": "1", "LAB_SLOT": "0"}
try:
    execution.execute(1, "operator:neg", 5)
except OSError as error:
    sys.exit(error.strerror)
"""


@pytest.mark.parametrize("disk_bytes", [0, 1_000, ledger.ROW_BYTES * 600])
def test_a_worker_without_disk_is_reported(disk_bytes: int, tmp_path: Path, copies: Path) -> None:
    """Its task fails at the worker; what was recorded before arrives."""
    before = write_ledger(tmp_path, "1-0-70-1", range(3))
    argv = [sys.executable, "-c", SMALL_DISK, str(disk_bytes), str(tmp_path)]
    worker = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert worker.stderr.strip() == os.strerror(errno.ENOSPC if disk_bytes else errno.EFBIG)
    with served(tmp_path) as port:
        (problem,) = hand_over_by(port, copies)
    assert problem.startswith("node 1: 1-0-")
    assert problem.endswith(" has no header: its process recorded no task.")
    assert (copies / before.name).read_bytes() == before.read_bytes()


def test_a_full_disk_of_a_node_is_reported(
    node: Path, port: int, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was recorded before is lost."""
    usage = shutil.disk_usage(node)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=4_096))
    assert hand_over_by(port, copies) == (
        "node 1: the disk of its records has only 4,096 bytes free: tasks may lack one.",
    )
    assert content(copies) == content(node)


def test_a_record_file_that_was_cut_short_is_reported(tmp_path: Path, copies: Path) -> None:
    """Its complete rows arrive."""
    node = tmp_path / "node"
    node.mkdir()
    path = write_ledger(node, "1-0-7-1", range(5))
    path.write_bytes(path.read_bytes()[:300])
    with served(node) as port:
        assert hand_over_by(port, copies) == (
            "node 1: 1-0-7-1.bin was cut short: 300 of 576 bytes.",
        )
    assert len(list(executions(copies / path.name)[1])) == 3


def test_a_file_that_changes_meanwhile_is_copied_again(
    tmp_path: Path, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that still runs finishes a task between the list and the copy."""
    node = tmp_path / "node"
    node.mkdir()
    path = write_ledger(node, "1-0-7-1", range(2))
    listing, n_lists = NodeAgent.listing, 0

    def changing(agent: NodeAgent) -> dict[str, object]:
        nonlocal n_lists
        listed, n_lists = listing(agent), n_lists + 1
        if n_lists <= n_changes:
            changed = bytearray(path.read_bytes())
            changed[ledger.ROW_BYTES * 3] ^= 1
            path.write_bytes(changed)
        return listed

    monkeypatch.setattr(NodeAgent, "listing", changing)
    with served(node) as port:
        n_changes = 1
        assert hand_over_by(port, copies) == ()
        assert n_lists == 2
        assert content(copies) == content(node)
        n_lists, n_changes = 0, 1_000
        later = tmp_path / "later"
        later.mkdir()
        (problem,) = hand_over_by(port, later, within_s=0.0)
        assert problem == (
            "node 1: 0 of 1 record files arrived complete. 1-0-7-1.bin changed while it was copied."
        )
        # The rows that do not change are there all the time.
        assert len(list(executions(later / path.name)[1])) == 2


def test_a_full_disk_here_is_a_sentence_and_the_copy_continues_later(
    node: Path, port: int, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records stay on the node."""
    opened = files.opened

    def full(path: Path, root: Path, flags: int = os.O_RDONLY) -> BinaryIO:
        if flags & os.O_WRONLY:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(path, root, flags)

    with monkeypatch.context() as patched:
        patched.setattr(files, "opened", full)
        with pytest.raises(DiskError, match="Free some space in"):
            hand_over_by(port, copies)
    assert hand_over_by(port, copies) == ()
    assert content(copies) == content(node)


def test_a_file_that_was_cut_short_between_two_calls_keeps_its_rows(
    tmp_path: Path, copies: Path
) -> None:
    """Rows that arrived before stay, also those that the node has lost since; a new one comes.

    A second call finds the copy complete.
    """
    node = tmp_path / "node"
    node.mkdir()
    path = write_ledger(node, "1-0-7-1", range(5))
    whole = path.read_bytes()
    with served(node) as port:
        assert hand_over_by(port, copies) == ()
        changed = bytearray(whole[:300])
        changed[ledger.ROW_BYTES * 2] ^= 1
        path.write_bytes(changed)
        for _ in range(2):
            assert hand_over_by(port, copies) == (
                "node 1: 1-0-7-1.bin was cut short: 300 of 576 bytes.",
            )
            assert (copies / path.name).read_bytes() == bytes(changed) + whole[300:]
