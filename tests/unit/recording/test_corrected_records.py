"""Tests that the records of another machine become records on the driver's clock."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lab.core.errors import DiskError
from lab.recording.corrected_records import correct
from lab.recording.ledger_reader import CompletionCounter, executions, header, task_errors
from lab.recording.node_clock import NodeClock
from lab.worker import ledger
from tests.factories.skewed_clocks import BEGIN_NS, HOUR_NS, SkewedClock, readings

SKEWED = SkewedClock(offset_ns=-5 * HOUR_NS, drift_ppm=50.0)
CREATED_NS = BEGIN_NS + 1_000_000


@pytest.fixture
def clock() -> NodeClock:
    """Return the clock of the node, as the driver has read it."""
    return NodeClock(readings(SKEWED, random.Random(0)))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return the folder of a node's records with one file of three tasks, and that of the copies.

    The second task was killed before its end.
    """
    records, copies = tmp_path / "node", tmp_path / "ledger"
    records.mkdir()
    copies.mkdir()
    words = ledger.create(str(records / f"1-0-77-{SKEWED.at(CREATED_NS)}.bin"), 1, 0, 8)
    words[6] = SKEWED.at(BEGIN_NS)
    for i in range(3):
        started_ns, row = BEGIN_NS + (i + 1) * 2_000_000, ledger.WORDS * (i + 1)
        words[row], words[row + 2] = 40 + i, SKEWED.at(started_ns)
        if i != 1:
            ledger.finish(words, row, SKEWED.at(started_ns + 500_000), 9)
    return records, copies


def test_executions_are_on_the_drivers_clock(folders: tuple[Path, Path], clock: NodeClock) -> None:
    """Starts and ends agree with the true ones within the bound; the rest is as it was."""
    records, copies = folders
    bound_ns = correct(records, copies, clock)
    (before,), (after,) = records.iterdir(), copies.iterdir()
    true = [(40, 2_000_000, 2_500_000), (41, 4_000_000, None), (42, 6_000_000, 6_500_000)]
    for row, old, (task_id, started_ns, finished_ns) in zip(
        executions(after)[1], executions(before)[1], true, strict=True
    ):
        assert row.task_id == task_id
        assert abs(row.started_ns - BEGIN_NS - started_ns) <= bound_ns
        if finished_ns is None:
            assert (row.finished_ns, row.published) == (0, 0)
        else:
            assert abs(row.finished_ns - BEGIN_NS - finished_ns) <= bound_ns
        assert row._replace(started_ns=0, finished_ns=0) == old._replace(
            started_ns=0, finished_ns=0
        )
    assert abs(header(after).imported_ns - BEGIN_NS) <= bound_ns
    assert bound_ns < 1_000_000


def test_the_instant_in_a_name_is_corrected(folders: tuple[Path, Path], clock: NodeClock) -> None:
    """Faults and exceptions are ordered by it."""
    records, copies = folders
    (records / f"1-0-77-{SKEWED.at(CREATED_NS)}-42.error").write_text("ValueError: 13\n\n")
    (records / "of-a-task.bin").write_bytes(b"no record")
    bound_ns = correct(records, copies, clock)
    counter = CompletionCounter(copies)
    assert counter.count() == 2
    (writer,) = counter.writers()
    (error,) = task_errors(copies)
    assert abs(writer.created_ns - CREATED_NS) <= bound_ns
    assert abs(error.raised_ns - CREATED_NS) <= bound_ns
    assert (error.task_id, error.summary) == (42, "ValueError: 13")
    assert (copies / "of-a-task.bin").read_bytes() == b"no record"


def test_a_damaged_record_is_copied(folders: tuple[Path, Path], clock: NodeClock) -> None:
    """The file ends within a row, and an instant is impossible; the other rows are corrected."""
    records, copies = folders
    (path,) = records.iterdir()
    damaged = bytearray(path.read_bytes())
    with memoryview(damaged).cast("q") as words:
        words[ledger.WORDS + 3] = -(2**63)
    path.write_bytes(damaged[: 4 * ledger.ROW_BYTES - 10])
    correct(records, copies, clock)
    (copy,) = copies.iterdir()
    first, second = executions(copy)[1]
    assert first.finished_ns == -(2**63)
    assert abs(second.started_ns - BEGIN_NS - 4_000_000) < 1_000_000
    assert copy.read_bytes()[-54:] == path.read_bytes()[-54:]


def test_a_correction_can_be_repeated(folders: tuple[Path, Path], clock: NodeClock) -> None:
    """The node's records do not change, and the copies are the same."""
    records, copies = folders
    (path,) = records.iterdir()
    written = path.read_bytes()
    correct(records, copies, clock)
    (copy,) = copies.iterdir()
    content = copy.read_bytes()
    correct(records, copies, clock)
    assert path.read_bytes() == written
    assert [(file.name, file.read_bytes()) for file in copies.iterdir()] == [(copy.name, content)]


def test_a_full_disk_is_a_sentence(
    folders: tuple[Path, Path], clock: NodeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node's records are intact."""
    records, copies = folders

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskError, match="Free some space"):
        correct(records, copies, clock)
    assert not any(copies.iterdir())
    assert len(list(records.iterdir())) == 1
