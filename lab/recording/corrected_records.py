"""Copies the records of another machine into a ledger whose instants are of the driver's clock.

The records themselves stay as the node wrote them, so that a correction can be repeated.
"""

from __future__ import annotations

import re
from pathlib import Path

from lab.core import files
from lab.recording.driver_status import INSTANTS
from lab.recording.ledger_reader import Execution, Header
from lab.recording.node_clock import NodeClock
from lab.worker.ledger import MAGIC, ROW_BYTES, WORDS, time_namespace

# Node, slot and process, the instant of the file, and the id of a task that raised.
NAME = re.compile(r"(\d+-\d+-\d+)-(\d+)((?:-\d+)?\.(?:bin|error))", re.ASCII)
IMPORTED, NAMESPACE = (Header._fields.index(name) for name in ("imported_ns", "time_namespace"))
STARTED, FINISHED = (Execution._fields.index(name) for name in ("started_ns", "finished_ns"))


def correct(records: Path, ledger: Path, clock: NodeClock) -> int:
    """Copy the records of one node into a ledger; return the largest bound of an instant, ns.

    A record that was cut short, or has impossible instants, is copied with them.

    Args:
        records: The folder of the files as the node wrote them.
        ledger: The folder of the copies, which are replaced if they exist.
        clock: The clock of the node.

    Raises:
        ResultsError: A file cannot be read or written; the message has the next step.
    """
    largest_ns = 0
    for path in sorted(records.iterdir()):
        with files.sentences(path):
            data = bytearray(files.read(path, records))
        if path.suffix == ".bin":
            largest_ns = max(largest_ns, _correct_rows(data, clock))
        files.put(ledger / _corrected_name(path.name, clock), bytes(data), ledger)
    return largest_ns


def _corrected_name(name: str, clock: NodeClock) -> str:
    match = NAME.fullmatch(name)
    if match is None:
        return name
    writer, instant_ns, rest = match.groups()
    return f"{writer}-{_corrected(int(instant_ns), clock)}{rest}"


def _correct_rows(data: bytearray, clock: NodeClock) -> int:
    """Correct the rows of a ledger in place; return the largest bound of an instant, ns."""
    with memoryview(data)[: len(data) // ROW_BYTES * ROW_BYTES].cast("q") as words:
        if not len(words) or words[0] != MAGIC:
            return 0
        words[IMPORTED] = _corrected(words[IMPORTED], clock)
        # The instants are now of the driver's clock.
        words[NAMESPACE] = time_namespace()
        largest_ns = 0
        for row in range(WORDS, len(words), WORDS):
            for word in (row + STARTED, row + FINISHED):
                if instant_ns := words[word]:
                    words[word] = _corrected(instant_ns, clock)
                    largest_ns = max(largest_ns, clock.bound_ns(instant_ns))
    return largest_ns


def _corrected(instant_ns: int, clock: NodeClock) -> int:
    # 0 is an event that has not happened, and a damaged record has any number: the checks of the
    # trial reject it.
    if instant_ns not in INSTANTS or not instant_ns:
        return instant_ns
    return max(1, clock.to_driver(instant_ns))
