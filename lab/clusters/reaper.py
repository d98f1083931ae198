"""Removes what dead labs left in a container engine: ``python -m lab.clusters.reaper RUN``.

As a program it is the watchdog of one cluster: it waits for the end of its input, which comes
when its lab dies, however it dies, and then removes that cluster. Objects are found by label only.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lab import processes, surroundings
from lab.engine import docker
from lab.errors import ClusterError

RUN, OWNER = "lab.run", "lab.owner"
DONE = b"done\n"
# An orphaned `compose up` may go on creating for a moment: nothing new for so long is the end.
QUIET_S = 3.0
GIVE_UP_S = 120.0


class Remains(NamedTuple):
    """One object of the engine that carries our labels."""

    kind: str
    name: str
    run: str
    owner: str
    running: bool


# Kind -> how it is listed and how it is removed; containers first, because they hold the others.
KINDS = {
    "container": (("container", "ls", "--all"), "{{.ID}}", "{{.State}}", ("rm", "-f", "-v")),
    "network": (("network", "ls"), "{{.ID}}", "-", ("network", "rm")),
    "volume": (("volume", "ls"), "{{.Name}}", "-", ("volume", "rm", "-f")),
}


def remains(run: str = "") -> list[Remains]:
    """List our objects in the engine: those of one run, or all.

    Raises:
        ClusterError: No engine answers.
    """
    return list(_listed(f"{RUN}={run}" if run else RUN))


def _listed(label: str) -> Iterator[Remains]:
    for kind, (listing, name, state, _) in KINDS.items():
        columns = "\t".join([name, f'{{{{.Label "{RUN}"}}}}', f'{{{{.Label "{OWNER}"}}}}', state])
        told = docker(*listing, "--filter", f"label={label}", "--format", columns)
        for line in told.decode().splitlines():
            named, run, owned, status = line.split("\t")
            yield Remains(kind, named, run, owned, status in ("running", "created", "paused"))


def is_dead(objects: list[Remains]) -> Callable[[Remains], bool]:
    """Return the judgement over `objects`: does the lab that one belongs to still run?

    A lab of another machine, container or boot cannot be asked; its run counts as dead when none
    of its containers is at work.
    """
    at_work = {thing.run for thing in objects if thing.running}
    here = processes.realm()

    def judge(thing: Remains) -> bool:
        if thing.owner.partition(":")[0] == here:
            return not processes.is_alive(thing.owner)
        return thing.run not in at_work

    return judge


def remove(objects: list[Remains]) -> int:
    """Ask for the removal of objects, containers first; return how many there were."""
    for kind, (*_, removal) in KINDS.items():
        if names := [thing.name for thing in objects if thing.kind == kind]:
            # Somebody may be faster, or a container may still hold one: the next look tells.
            with contextlib.suppress(ClusterError):
                docker(*removal, *names)
    return len(objects)


def reap_dead() -> int:
    """Remove the objects of labs that are gone, those of living ones stay; return how many.

    Without an engine there is nothing to remove.
    """
    try:
        objects = remains()
    except ClusterError:
        return 0
    dead = is_dead(objects)
    return remove([thing for thing in objects if dead(thing)])


class Watchdog:
    """A child that removes a cluster when this process ends without having done so."""

    def __init__(self, run: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", __name__, run],
            env=surroundings.of_engine(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )

    def dismiss(self, *, is_done: bool) -> None:
        """End the watch; unless `is_done`, it removes what is there first."""
        if self._child.stdin is not None and not self._child.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._child.stdin.write(DONE if is_done else b"")
            self._child.stdin.close()
        self._child.wait()


def watch(run: str) -> None:
    """Wait for the end of standard input, then remove the run until nothing new appears."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() == DONE:
        return
    begin = quiet_since = time.monotonic()
    while (now := time.monotonic()) - quiet_since < QUIET_S and now - begin < GIVE_UP_S:
        # First whoever would go on creating: the lab's own docker clients carry its label.
        if processes.reap_orphans() + _removed(run):
            quiet_since = time.monotonic()
        time.sleep(0.2)


def _removed(run: str) -> int:
    try:
        return remove(remains(run))
    except ClusterError:
        return 0


if __name__ == "__main__":
    watch(sys.argv[1])
