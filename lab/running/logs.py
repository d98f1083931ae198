"""Limits the logs of a trial's processes: a task that prints without end must not fill the disk.

A limit of the kernel on file sizes would apply to the ledger too, and a pipe with a reader would
copy each line. So the sizes are checked now and then, and logs that are too long are truncated.
"""

from __future__ import annotations

from pathlib import Path

MOST_BYTES = 64 * 2**20


def overflow(folder: Path) -> str | None:
    """Return a sentence about a log in `folder` above `MOST_BYTES`; None if there is none."""
    # The order of a folder is arbitrary, and the reason of a trial must not be.
    for log in sorted(folder.glob("*.log")):
        if (size := log.stat().st_size) > MOST_BYTES:
            return (
                f"{log.name} has {size / 2**20:.0f} MiB, more than the limit of "
                f"{MOST_BYTES / 2**20:.0f}: reduce the output of the task or its backend."
            )
    return None


def cut(folder: Path) -> None:
    """Truncate every log of `folder` to `MOST_BYTES`, with a last line that states it."""
    for log in folder.glob("*.log"):
        if (size := log.stat().st_size) > MOST_BYTES:
            with log.open("r+b") as file:
                file.truncate(MOST_BYTES)
                file.seek(MOST_BYTES)
                file.write(f"\n[The lab removed {size - MOST_BYTES} bytes here.]\n".encode())
