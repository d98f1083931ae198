"""Removes processes, containers and files of killed labs; as a program, watches one lab process.

``python -m lab.providers.watchdog`` waits for the end of its standard input, which comes when its
lab process ends for any reason. Then it removes what remains, until nothing new appears.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from lab.host import child_environment, faked_clock, interrupts, processes, temp_dirs
from lab.providers import crontab, reaper

READY, DONE = b"ready\n", b"done\n"
LOOK_S = 0.2
# An orphaned `compose up`, for example, may still create containers.
QUIET_S = 3.0
GIVE_UP_S = 120.0
# Descriptions of removals, and their functions. Processes come first: they could create more.
REMOVALS: Mapping[str, Callable[[], int]] = {
    "processes of killed labs ended": processes.reap_orphans,
    "containers, networks and volumes of killed labs removed": reaper.reap_dead,
    "crontab lines of killed labs removed": crontab.remove_dead,
    "temporary folders of killed labs removed": temp_dirs.remove_dead,
    "shared memory of ended processes with a faked clock removed": faked_clock.remove_dead,
}


def remove_dead() -> dict[str, int]:
    """Remove the remains of labs that have ended, and return the number of each kind."""
    return {description: remove() for description, remove in REMOVALS.items()}


@contextlib.contextmanager
def on_duty() -> Iterator[None]:
    """Start a watchdog that cleans up if this process dies in the block.

    It is ready before the block begins, so that its start disturbs no measurement.
    """
    # Before the lab had this program, 38 kills of labs left 117 orphans.
    child = subprocess.Popen(
        [sys.executable, "-m", __name__],
        env=child_environment.of_engine(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    if child.stdout is not None:
        child.stdout.readline()
    try:
        yield
    finally:
        child.communicate(DONE)


def watch() -> None:
    """Wait for the end of standard input, then remove remains until nothing new appears."""
    for number in interrupts.STOPPING:
        # The end of a service signals all of its processes, and the work comes after that.
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    # Any other end of the input is that of a lab that was killed.
    if sys.stdin.buffer.read() == DONE:
        return
    begin = quiet_since = time.monotonic()
    while (now := time.monotonic()) - quiet_since < QUIET_S and now - begin < GIVE_UP_S:
        if any(remove_dead().values()):
            quiet_since = time.monotonic()
        time.sleep(LOOK_S)


if __name__ == "__main__":
    watch()
