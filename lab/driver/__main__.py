"""Drives one trial: ``python -m lab.driver FOLDER``."""

from __future__ import annotations

import os
import queue
import sys
import threading
from pathlib import Path

from lab.driver.driver import Driver


def main(folder: Path) -> None:
    """Run the trial of `folder`, and end without waiting for threads that may hang.

    The two pipes to the campaign are first moved to separate descriptors: the children of a pool
    close their standard input, and a task may print.
    """
    commands, messages = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    gates: queue.Queue[bytes] = queue.Queue()

    def listen() -> None:
        while line := os.read(commands, 16):
            gates.put(line)
        os._exit(2)  # the lab has ended, so the driver must end too

    def say(text: str) -> None:
        # Not by print: after the lines above, standard output is the log.
        os.write(messages, f"{text}\n".encode())

    threading.Thread(target=listen, daemon=True).start()
    Driver(folder, say, gates.get).run()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
