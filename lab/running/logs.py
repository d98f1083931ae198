"""Bounds what a trial's processes print: a task that prints without end must not fill the disk.

A limit of the kernel on the size of files would end the ledger as well, and a pipe with a reader
would cost each line a copy. So the sizes are looked at now and then, and the rest is cut off.
"""

from __future__ import annotations

from pathlib import Path

MOST_BYTES = 64 * 2**20


def overflow(folder: Path) -> str | None:
    """Say which log of `folder` has grown beyond `MOST_BYTES`, or None while none has."""
    for log in sorted(folder.glob("*.log")):
        if (size := log.stat().st_size) > MOST_BYTES:
            return (
                f"{log.name} grew to {size / 2**20:.0f} MiB, and {MOST_BYTES / 2**20:.0f} are "
                "allowed: have the task or its system print less."
            )
    return None


def cut(folder: Path) -> None:
    """Cut every log of `folder` to `MOST_BYTES`, and say so in its last line."""
    for log in folder.glob("*.log"):
        if (size := log.stat().st_size) > MOST_BYTES:
            with log.open("r+b") as file:
                file.truncate(MOST_BYTES)
                file.seek(MOST_BYTES)
                file.write(f"\n[The lab has cut off {size - MOST_BYTES} bytes.]\n".encode())
