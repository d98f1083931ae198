"""Removes the objects of a trial, or of dead labs, from the container engine, found by label."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lab.core.errors import ClusterError
from lab.host import processes
from lab.providers.engine import docker

RUN, OWNER = "lab.run", "lab.owner"
LOOK_S = 0.2
# The engine may go on creating objects after an interrupted `compose up`. It counts as finished
# when no new object has appeared for this long.
QUIET_S = 3.0
GIVE_UP_S = 120.0


class Remains(NamedTuple):
    """One object of the engine that has the lab's labels."""

    kind: str
    name: str
    run: str
    owner: str
    running: bool


# Kind -> listing command, columns of its name and state, removal command. Containers are first,
# because they use the others.
KINDS = {
    "container": (("container", "ls", "--all"), "{{.ID}}", "{{.State}}", ("rm", "-f", "-v")),
    "network": (("network", "ls"), "{{.ID}}", "-", ("network", "rm")),
    "volume": (("volume", "ls"), "{{.Name}}", "-", ("volume", "rm", "-f")),
}


def remains(run: str = "") -> list[Remains]:
    """List the lab's objects in the engine: those of one trial's project, or all.

    Raises:
        ClusterError: No engine answers.
    """
    return list(_listed(f"{RUN}={run}" if run else RUN))


def _listed(label: str) -> Iterator[Remains]:
    for kind, (listing, name, state, _) in KINDS.items():
        columns = "\t".join([name, f'{{{{.Label "{RUN}"}}}}', f'{{{{.Label "{OWNER}"}}}}', state])
        lines = docker(*listing, "--filter", f"label={label}", "--format", columns).decode()
        for line in lines.splitlines():
            identity, run, owner, status = line.split("\t")
            yield Remains(kind, identity, run, owner, status in ("running", "created", "paused"))


def is_dead(objects: list[Remains]) -> Callable[[Remains], bool]:
    """Return a function that is true for those of `objects` whose lab has ended.

    The processes of another machine, container or boot are not visible. An object from there
    counts as dead if no container of its project is running.
    """
    running = {thing.run for thing in objects if thing.running}
    here = processes.realm()

    def is_dead_object(thing: Remains) -> bool:
        if thing.owner.partition(":")[0] == here:
            return not processes.is_alive(thing.owner)
        return thing.run not in running

    return is_dead_object


def remove(objects: list[Remains]) -> int:
    """Try to remove the objects, containers first; return their number."""
    for kind, (*_, removal) in KINDS.items():
        if names := [thing.name for thing in objects if thing.kind == kind]:
            # Another process may have removed one, or a container may still use one. The caller's
            # next listing shows it.
            with contextlib.suppress(ClusterError):
                docker(*removal, *names)
    return len(objects)


def remove_run(run: str, quiet_s: float) -> None:
    """Remove the objects of a project until none has appeared for `quiet_s` seconds.

    Raises:
        ClusterError: No engine answers, or some objects remain after `GIVE_UP_S`.
    """
    begin = quiet_since = time.monotonic()
    while (objects := remains(run)) or time.monotonic() - quiet_since < quiet_s:
        if time.monotonic() - begin > GIVE_UP_S:
            raise ClusterError(
                f"{len(objects)} objects of {run} cannot be removed. Run: lab doctor"
            )
        if objects:
            remove(objects)
            quiet_since = time.monotonic()
        else:
            time.sleep(LOOK_S)


def reap_dead() -> int:
    """Remove the objects of labs that have ended; return their number, 0 without an engine."""
    try:
        objects = remains()
    except ClusterError:
        return 0
    dead = is_dead(objects)
    return remove([thing for thing in objects if dead(thing)])
