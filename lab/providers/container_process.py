"""Runs programs in running containers, through the engine's connection.

The engine sends standard output and errors of a program as frames on one connection.
"""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from lab.core.errors import ClusterError
from lab.host import processes
from lab.providers import reaper
from lab.providers.engine import PATIENCE_S, engine
from lab.providers.engine_errors import explain

# The header of a frame: the stream, three unused bytes, and the number of bytes that follow.
HEADER = struct.Struct(">BxxxL")
OUTPUT, ERRORS = 1, 2
END_S, LOOK_S = 10.0, 0.02
# The run of a container that belongs to no trial.
NEW = "program"


class _ExecStream:
    """The connection to a new program in a container."""

    def __init__(
        self,
        container: str,
        argv: Sequence[str],
        variables: Mapping[str, str],
        address: str,
        *,
        has_input: bool,
    ) -> None:
        self._address = address
        with engine(address) as client:
            created = client.api.exec_create(
                container, [*argv], stdin=has_input, environment=dict(variables)
            )
            self.id: str = created["Id"]
            stream: Any = client.api.exec_start(self.id, socket=True)
        self._response = stream._response  # noqa: SLF001 (the SDK offers no other way to it)
        # The HTTP client may have read the first frames already, so frames come from its buffer.
        self._buffer = self._response.raw._fp.fp  # noqa: SLF001
        self.socket = getattr(stream, "_sock", stream)
        self.socket.settimeout(None)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Yield the stream and the content of each frame until the program ends."""
        while len(header := self._buffer.read(HEADER.size)) == HEADER.size:
            kind, size = HEADER.unpack(header)
            yield kind, self._buffer.read(size)

    def code(self) -> int:
        """Return the exit code of the program, whose output has ended.

        Raises:
            ClusterError: The engine does not report its end.
        """
        deadline = time.monotonic() + END_S
        while True:
            with engine(self._address) as client:
                state = client.api.exec_inspect(self.id)
            if not state["Running"] and state["ExitCode"] is not None:
                return int(state["ExitCode"])
            if time.monotonic() > deadline:
                raise ClusterError("The engine reports no end of a program. Run: lab doctor")
            time.sleep(LOOK_S)

    def close(self) -> None:
        """Close the connection; the program loses its standard input and output."""
        with contextlib.suppress(OSError):  # the engine has closed it
            self.socket.shutdown(2)
        self._response.close()


def run(
    container: str,
    *argv: str,
    environment: Mapping[str, str] | None = None,
    address: str = "",
) -> bytes:
    """Run a program in a running container of the engine at `address`; return its standard output.

    Raises:
        ClusterError: The program failed or was silent for `PATIENCE_S` seconds, or the container
            has ended.
    """
    parts = {OUTPUT: bytearray(), ERRORS: bytearray()}
    connection = _ExecStream(container, argv, environment or {}, address, has_input=False)
    try:
        connection.socket.settimeout(PATIENCE_S)
        for kind, content in connection.frames():
            parts[kind] += content
        code = connection.code()
    except OSError as error:
        raise ClusterError(
            f"{argv[0]} in a container did not end: {error}. Run: lab doctor"
        ) from error
    finally:
        connection.close()
    if code:
        raise ClusterError(explain(parts[ERRORS].decode(errors="replace")))
    return bytes(parts[OUTPUT])


def run_in_new(image: str, *argv: str) -> str:
    """Run a program in a new container without network, and return its standard output.

    Raises:
        ClusterError: The program failed, or no engine answers.
    """
    labels = {reaper.RUN: NEW, reaper.OWNER: processes.owner()}
    with engine() as client:
        started = client.containers.run(
            image, ["sleep", "infinity"], detach=True, network_mode="none", labels=labels
        )
    identity = str(started.id)
    try:
        # Not as the command of the container: the engine's log may lack the last line of it.
        return run(identity, *argv).decode()
    finally:
        with engine() as client:
            client.api.remove_container(identity, force=True, v=True)


class ContainerProcess:
    """A program in a running container, with the methods of `subprocess.Popen` that the lab uses.

    Its standard errors go to a file.

    Attributes:
        stdin, stdout: Unbuffered pipes to the program.
    """

    def __init__(
        self,
        container: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        errors: Path,
        address: str = "",
    ) -> None:
        self._argv = argv
        self._code: int | None = None
        self._connection = _ExecStream(container, argv, environment, address, has_input=True)
        self.stdin: BinaryIO = self._connection.socket.makefile("wb", 0)
        reading, writing = os.pipe()
        self.stdout: BinaryIO = os.fdopen(reading, "rb", 0)
        # A thread, because the engine sends output and errors as frames on one connection.
        self._reader = threading.Thread(target=self._copy, args=(writing, errors), daemon=True)
        self._reader.start()

    def _copy(self, descriptor: int, errors: Path) -> None:
        with (
            os.fdopen(descriptor, "wb", 0) as output,
            errors.open("ab", 0) as log,
            contextlib.suppress(OSError, ValueError),  # `stop` has closed one of the two ends
        ):
            for kind, content in self._connection.frames():
                (log if kind == ERRORS else output).write(content)

    def poll(self) -> int | None:
        """Return the exit code, or None while the program runs.

        Raises:
            ClusterError: The engine does not answer.
        """
        if self._code is None and not self._reader.is_alive():
            self._code = self._connection.code()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the program, and return its exit code.

        Raises:
            subprocess.TimeoutExpired: It still runs after `timeout` seconds.
            ClusterError: The engine does not answer.
        """
        self._reader.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self._argv, timeout or 0.0)
        return code

    def stop(self) -> None:
        """Close the connection to the program; the end of its container ends the program itself."""
        self._connection.close()
        self._reader.join()
        with contextlib.suppress(OSError):  # its other end is closed
            self.stdin.close()
        self.stdout.close()
