"""Copies the records of a node from its agent after the window, and resumes after each cut.

A copy continues where it was cut, and counts as complete when its SHA-256 is that of the node's
file. What has arrived stays, complete or not: each row of a ledger is a record of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from lab.core import files
from lab.core.errors import ClusterError
from lab.core.provider import AgentAddress
from lab.recording.agent_connection import AgentConnection, RecordFile, RecordList
from lab.recording.ledger_reader import header
from lab.recording.node_agent import checksum
from lab.worker.ledger import FIRST_ROWS, MAGIC, ROW_BYTES

# The time between two attempts to connect: an agent starts in a third of a second.
RETRY_S = 0.2
# A process that cannot write its first file records nothing.
SMALLEST_FILE = (FIRST_ROWS + 1) * ROW_BYTES


def hand_over(address: AgentAddress, token: str, folder: Path, within_s: float) -> tuple[str, ...]:
    """Copy all records of a node into a folder; return one sentence for each problem.

    The result is empty if every record arrived as the node's workers wrote it. A second call
    continues where the first one ended.

    Args:
        address: Where the agent of the node listens.
        token: The token of the trial.
        folder: An existing folder for the files of this node.
        within_s: How long to try again after an error.

    Raises:
        DiskError: The folder's disk is full or broken; the message has the next step.
    """
    deadline = time.monotonic() + within_s
    listed: RecordList | None = None
    while True:
        try:
            with AgentConnection(address, token) as connection:
                listed = connection.records()
                for record in listed.files:
                    _copy(connection, record, folder)
            return tuple(f"{address.name}: {problem}" for problem in _problems(listed, folder))
        except ClusterError as error:
            if time.monotonic() > deadline:
                return (f"{address.name}: {_arrived(listed, folder)}. {error}",)
        time.sleep(RETRY_S)


def _copy(connection: AgentConnection, record: RecordFile, folder: Path) -> None:
    path = folder / record.name
    with files.sentences(path):
        size, digest = _copied(record, folder)
        if (size, digest) == record[1:]:
            return
        # A worker that still runs has changed the file: its rows are replaced, one after the other.
        offset = size if size < record.size else 0
        with files.opened(path, folder, os.O_WRONLY | os.O_CREAT) as copy:
            copy.seek(offset)
            for part in connection.read(record.name, offset):
                copy.write(part)
        if _copied(record, folder) != record[1:]:
            raise ClusterError(f"{record.name} changed while it was copied.")


def _copied(record: RecordFile, folder: Path) -> tuple[int, str]:
    """Return size and SHA-256 of the copy of a file, up to the size of the file.

    The copy is longer if the file was cut short after an earlier call: those rows stay.
    """
    path = folder / record.name
    return checksum(path, folder, record.size) if files.is_there(path) else (0, "")


def _arrived(listed: RecordList | None, folder: Path) -> str:
    """Describe how much of a node's records has arrived."""
    if listed is None:
        return "its agent did not answer, so its records are missing or incomplete"
    complete = sum(_copied(record, folder) == record[1:] for record in listed.files)
    return f"{complete} of {len(listed.files)} record files arrived complete"


def _problems(listed: RecordList, folder: Path) -> Iterator[str]:
    """Yield a sentence for each sign that a worker could not record."""
    if listed.free < SMALLEST_FILE:
        yield f"the disk of its records has only {listed.free:,} bytes free: tasks may lack one."
    for record in listed.files:
        if not record.name.endswith(".bin"):
            continue
        first = header(folder / record.name)
        if first.magic != MAGIC:
            # The magic is written last of the header, and the header after all of the file.
            yield f"{record.name} has no header: its process recorded no task."
        elif record.size < (whole := (first.rows + 1) * ROW_BYTES):
            yield f"{record.name} was cut short: {record.size:,} of {whole:,} bytes."
