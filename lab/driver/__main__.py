"""Drives one trial: ``python -m lab.driver FOLDER``.

With a number, it is a further driver of the trial (`lab.driver.further_driver`).
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from pathlib import Path

from lab.driver.driver import Driver
from lab.driver.further_driver import FurtherDriver


def main(folder: Path, number: int = 0) -> None:
    """Run the trial of `folder`, or a share of it, and end without waiting for hanging threads.

    The two pipes to the campaign are first moved to separate descriptors: the children of a pool
    close their standard input, and a task may print.
    """
    commands, messages = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    gates: queue.Queue[bytes] = queue.Queue()

    def listen() -> None:
        for line in os.fdopen(commands, "rb"):
            gates.put(line)
        os._exit(2)  # the lab has ended, so the driver must end too

    def say(text: str) -> None:
        # Not by print: after the lines above, standard output is the log.
        os.write(messages, f"{text}\n".encode())

    threading.Thread(target=listen, daemon=True).start()
    if number:
        FurtherDriver(folder, number, say, gates.get).run()
    else:
        Driver(folder, say, gates.get).run()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
