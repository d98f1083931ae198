"""Serves the clock and the records of one machine to the lab on another.

``python -m lab.recording.node_agent FOLDER HOST PORT`` runs beside the workers that write their
ledger into FOLDER, and prints its port. It reads only: its own death, a cut connection or a full
disk cost no record. It needs the standard library and no package.

The first line of a connection is the token of the trial, from the variable ``LAB_TOKEN``. Each
further line is a request, and has one line as its answer:

====================  ========================================================================
``clock``             two instants of this machine's clock: request received, answer sent, ns
``finished FROM TO``  how many executions of the tasks FROM to TO - 1 have finished
``running FROM TO``   how many had started and not finished
``files``             JSON: the free bytes of the disk, and name, size and SHA-256 of each file
``read OFFSET NAME``  how many bytes the file has from OFFSET on; then these bytes
``zeros N``           N, at most `MOST_ZEROS`; then as many zero bytes, to measure the network
====================  ========================================================================

The answer to a request that failed begins with ``error``.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import shutil
import socketserver
import sys
import threading
from pathlib import Path
from time import monotonic_ns
from typing import BinaryIO

from lab.core import files
from lab.core.errors import LabError
from lab.recording.ledger_reader import CompletionCounter

TOKEN = "LAB_TOKEN"  # noqa: S105 (the name of a variable)
LONGEST_LINE = 4_096
PART_BYTES = 1 << 20
# An eighth of a second at 1 Gbit/s.
MOST_ZEROS = 16 << 20
# Names of the lab's records; tasks may write other files into the folder.
RECORD_NAME = re.compile(r"\d+(?:-\d+)+\.(?:bin|error)", re.ASCII)


class NodeAgent(socketserver.ThreadingTCPServer):
    """The agent of one machine, with a thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, folder: Path, token: str, address: tuple[str, int]) -> None:
        """Listen at an address; port 0 lets the kernel choose one.

        Raises:
            OSError: The address is in use.
        """
        super().__init__(address, _Requests)
        self.first_line = f"{token}\n".encode()
        self._folder = folder
        self._counters: dict[tuple[int, int], CompletionCounter] = {}
        self._lock = threading.Lock()

    def counted(self, request: str, first: int, end: int) -> int:
        """Count the executions of the tasks `first` to `end` - 1: `finished` or `running`."""
        with self._lock:
            # One counter for each range: it reads only what is new since its last count.
            if (first, end) not in self._counters:
                self._counters[first, end] = CompletionCounter(self._folder, range(first, end))
            counter = self._counters[first, end]
            finished = counter.count()
            return finished if request == "finished" else counter.running()

    def listing(self) -> dict[str, object]:
        """Return the free bytes of the disk, and name, size and SHA-256 of each record file."""
        paths = [path for path in sorted(self._folder.iterdir()) if _is_record(path)]
        free = shutil.disk_usage(self._folder).free
        return {"free": free, "files": [(p.name, *checksum(p, p.parent)) for p in paths]}

    def opened(self, name: str) -> BinaryIO:
        """Open a record file.

        Raises:
            OSError: It cannot be opened.
            ValueError: It is no record of this folder.
        """
        path = self._folder / name
        if not _is_record(path):
            raise ValueError(f"{name} is no record")
        return files.opened(path, path.parent)


def checksum(path: Path, root: Path, most: int = 2**63) -> tuple[int, str]:
    """Return size and SHA-256 of a file below `root`, or of its first `most` bytes."""
    hashed = hashlib.sha256()
    with files.opened(path, root) as file:
        while part := file.read(min(PART_BYTES, most - file.tell())):
            hashed.update(part)
        return file.tell(), hashed.hexdigest()


def _is_record(path: Path) -> bool:
    # A link could lead out of the folder.
    return bool(RECORD_NAME.fullmatch(path.name)) and path.is_file() and not path.is_symlink()


class _Requests(socketserver.StreamRequestHandler):
    """One connection."""

    server: NodeAgent
    # An answer about the clock that waits for more bytes would be a wrong clock.
    disable_nagle_algorithm = True

    def handle(self) -> None:
        # If the other side is gone or the network is cut, the lab connects again.
        with contextlib.suppress(OSError):
            first_line = self.rfile.readline(LONGEST_LINE)
            if not hmac.compare_digest(first_line, self.server.first_line):
                return
            while line := self.rfile.readline(LONGEST_LINE):
                received_ns = monotonic_ns()
                if line == b"clock\n":
                    self.wfile.write(b"%d %d\n" % (received_ns, monotonic_ns()))
                else:
                    self._answer(line)

    def _answer(self, line: bytes) -> None:
        n_bytes, zeros = 0, b""
        with contextlib.ExitStack() as stack:
            try:
                request, *arguments = line.decode("ascii").split()
                if request == "files":
                    answer = json.dumps(self.server.listing())
                elif request in ("finished", "running"):
                    first, end = map(int, arguments)
                    answer = str(self.server.counted(request, first, end))
                elif request == "zeros":
                    (n_zeros,) = map(int, arguments)
                    zeros = bytes(min(n_zeros, MOST_ZEROS))
                    answer = str(len(zeros))
                else:
                    offset, name = arguments
                    file = stack.enter_context(self.server.opened(name))
                    n_bytes = max(0, os.fstat(file.fileno()).st_size - file.seek(int(offset)))
                    answer = str(n_bytes)
            except (OSError, ValueError, LabError) as error:
                answer = " ".join(f"error: {type(error).__name__}: {error}".split())
            self.wfile.write(f"{answer}\n".encode() + zeros)
            if n_bytes:  # and no byte more, if the file grows meanwhile
                self.connection.sendfile(file, file.tell(), n_bytes)


def main(folder: str, host: str, port: str) -> None:
    """Serve until the process ends."""
    with NodeAgent(Path(folder), os.environ[TOKEN], (host, int(port))) as agent:
        sys.stdout.write(f"{agent.server_address[1]}\n")
        sys.stdout.flush()
        agent.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
