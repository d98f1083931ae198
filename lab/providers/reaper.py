"""Removes the objects of a trial, or of dead labs, from the container engines, found by label.

The engines are that of Docker's command, and those of the other hosts of a swarm (`named_engines`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.core.errors import ClusterError
from lab.host import processes
from lab.providers.engine import engine, named_engines

if TYPE_CHECKING:
    from docker import DockerClient

RUN, OWNER = "lab.run", "lab.owner"
# A container may not be started yet, or a fault may have paused it.
ALIVE = ("running", "created", "paused")
# Services would replace their containers, and containers use networks and volumes.
ORDER = ("service", "container", "network", "volume")
NO_MANAGER = 503
AT_ONCE = 8
LOOK_S = 0.2
# The engine may go on creating objects after an interrupted `compose up`. It counts as finished
# when no new object has appeared for this long.
QUIET_S = 3.0
GIVE_UP_S = 120.0


class Remains(NamedTuple):
    """One object of an engine that has the lab's labels."""

    kind: str
    name: str
    run: str
    owner: str
    running: bool
    address: str = ""


def remains(run: str = "") -> list[Remains]:
    """List the lab's objects in the engines: those of one trial's project, or all.

    The other hosts of a swarm that do not answer are left out.

    Raises:
        ClusterError: No engine answers.
    """
    label = f"{RUN}={run}" if run else RUN
    listed = [*_listed(label, "")]
    for address in filter(None, named_engines()):
        with contextlib.suppress(ClusterError):
            listed += _listed(label, address)
    return listed


def _listed(label: str, address: str) -> Iterator[Remains]:
    filters = {"label": label}
    with engine(address) as client:
        lists: Mapping[str, Any] = {
            "service": [] if address else _services(client, filters),
            "container": client.api.containers(all=True, filters=filters),
            # Those of a swarm are removed on its manager.
            "network": [] if address else client.api.networks(filters=filters),
            "volume": client.api.volumes(filters=filters)["Volumes"] or (),
        }
    for kind, items in lists.items():
        for item in items:
            name = item["Name"] if kind == "volume" else item.get("Id") or item["ID"]
            labels = item["Spec"]["Labels"] if kind == "service" else item["Labels"]
            is_running = item.get("State", "") in ALIVE
            yield Remains(kind, name, labels[RUN], labels.get(OWNER, ""), is_running, address)


def _services(client: DockerClient, filters: Mapping[str, str]) -> list[Any]:
    """Return the services of the swarm that an engine manages, if it manages one."""
    from docker.errors import APIError

    try:
        return list(client.api.services(filters={**filters}))  # type: ignore[no-untyped-call]
    except APIError as error:
        if error.status_code != NO_MANAGER:
            raise
        return []


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
    """Try to remove the objects, in an order in which none uses another; return their number."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for kind in ORDER:
            list(pool.map(_remove, [thing for thing in objects if thing.kind == kind]))
    return len(objects)


def _remove(thing: Remains) -> None:
    # Another process may have removed it, or a container may still use it. The caller's next
    # listing shows it.
    with contextlib.suppress(ClusterError), engine(thing.address) as client:
        if thing.kind == "container":
            # `v`: a volume that an image declares has no label, so no later listing shows it.
            client.api.remove_container(thing.name, v=True, force=True)
        elif thing.kind == "service":
            client.api.remove_service(thing.name)  # type: ignore[no-untyped-call]
        elif thing.kind == "network":
            client.api.remove_network(thing.name)
        else:
            client.api.remove_volume(thing.name, force=True)


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
