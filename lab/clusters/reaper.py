"""Removes objects of a container engine: those of a run, and those of dead labs.

They are found by label only.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lab import processes
from lab.engine import docker
from lab.errors import ClusterError

RUN, OWNER = "lab.run", "lab.owner"
LOOK_S = 0.2
# A `compose up` that was cut short may go on creating: nothing new for so long is the end.
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


def remove_run(run: str, quiet_s: float) -> None:
    """Remove the objects of a run until none has appeared for `quiet_s` seconds.

    Raises:
        ClusterError: No engine answers, or it holds on to some of them.
    """
    begin = quiet_since = time.monotonic()
    while (objects := remains(run)) or time.monotonic() - quiet_since < quiet_s:
        if time.monotonic() - begin > GIVE_UP_S:
            raise ClusterError(f"{len(objects)} objects of {run} cannot be removed: lab doctor")
        if objects:
            remove(objects)
            quiet_since = time.monotonic()
        else:
            time.sleep(LOOK_S)


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
