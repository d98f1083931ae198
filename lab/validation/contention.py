"""Computes how much CPU time other processes took from a trial on its own CPUs (METHOD M23).

Roles that share a CPU are one group: inside a group, the threads of the trial wait for each other,
which is no disturbance. Two counters are compared for each group: the CPU time of other processes
on its CPUs, and the time that its own threads waited for a CPU. Other processes that use a CPU
while nothing of the trial wants it take nothing, and a wait while no other process runs is the
trial's own queue. So the smaller of both is an upper bound of what was taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lab.core.placement import Placement
from lab.recording import cpu_waits
from lab.recording.host_counters import HostReading, unused_s
from lab.running.trial import EdgeReading

LAB = "lab"
ROLES = ("driver", "services", "workers")


@dataclass(frozen=True, slots=True)
class RoleUse:
    """The CPUs of a role, and the use of its processes in the window, in ns.

    `waited_ns` is None if it could not be read. The lab itself is a role with a wait of 0: its own
    waiting disturbs no trial.
    """

    role: str
    cpus: frozenset[int]
    used_ns: int
    waited_ns: int | None


@dataclass(frozen=True, slots=True)
class Contention:
    """The use of the trial's CPUs by others, as shares of the CPU time of these CPUs.

    Attributes:
        other_cpu: Used by other processes; None if it could not be read.
        cpu_wait: Waited by threads of the trial; above 1 if several wait for one CPU. None if it
            could not be read for every role.
        cpu_taken: Largest share that others took from one group of roles, an upper bound.
        roles: The roles of that group, as text.
    """

    other_cpu: float | None
    cpu_wait: float | None
    cpu_taken: float | None
    roles: str


def cpus_of(placement: Placement) -> Mapping[str, frozenset[int]]:
    """Return the CPUs of each role, and of the lab."""
    return {
        "driver": frozenset(placement.driver),
        "services": frozenset(placement.services),
        "workers": frozenset(cpu for node in placement.nodes for cpu in node),
        LAB: frozenset(placement.lab),
    }


def cpus_of_trial(placement: Placement) -> frozenset[int]:
    """Return the CPUs of this machine that driver, servers and workers use.

    If some of them are on other machines: those of the driver.
    """
    of_roles = cpus_of(placement)
    if placement.is_remote:
        return of_roles["driver"]
    return frozenset().union(*(of_roles[role] for role in ROLES))


def uses(placement: Placement, begin: EdgeReading, end: EdgeReading) -> list[RoleUse]:
    """Return the use of each role, and of the lab, between two readings of a trial."""
    cpus = cpus_of(placement)
    # The lab may share CPUs with driver and servers, and its time is not that of other processes.
    uses = [RoleUse(LAB, cpus[LAB], end.lab_ns - begin.lab_ns, 0)]
    for role in ROLES:
        used_ns = getattr(end.cpu, f"{role}_ns") - getattr(begin.cpu, f"{role}_ns")
        before, after = (reading.threads.get(role, {}) for reading in (begin, end))
        waited_ns = cpu_waits.waited_ns(before, after, used_ns)
        uses.append(RoleUse(role, cpus[role], used_ns, waited_ns))
    return uses


def contention(before: HostReading, after: HostReading, roles: Iterable[RoleUse]) -> Contention:
    """Compare two readings of the machine with the use of each role between them."""
    roles = [role for role in roles if role.cpus]
    groups = _groups(roles)
    readable = before.cpus.keys() & after.cpus.keys()
    if not groups or not all(group[0] <= readable for group in groups):
        return Contention(None, None, None, "")
    window_s = (after.t_ns - before.t_ns) / 1e9
    others_s = total_s = 0.0
    worst = (-1.0, "")
    for cpus, members in groups:
        capacity_s = len(cpus) * window_s
        unused = unused_s(before, after, cpus)
        busy_s = capacity_s - unused.idle_s - unused.steal_s
        # The CPU times of the roles are read shortly before or after those of the CPUs, so the
        # difference of a quiet CPU may be below zero.
        other_s = max(0.0, busy_s - sum(role.used_ns for role in members) / 1e9)
        wait_s = _waited_s(members)
        # Without the waits all time of others counts, which is an upper bound too (METHOD M23).
        taken_s = other_s if wait_s is None else min(other_s, wait_s)
        names = [name for name in ROLES if name in {role.role for role in members}]
        # A group of the lab alone is no part of the trial: what others use there disturbs nothing.
        if names and capacity_s:
            worst = max(worst, (taken_s / capacity_s, " and ".join(names)))
        others_s, total_s = others_s + other_s, total_s + capacity_s
    wait_s = _waited_s(roles)
    if not total_s:
        return Contention(None, None, None, "")
    cpu_wait = None if wait_s is None else wait_s / total_s
    return Contention(others_s / total_s, cpu_wait, *worst)


def _groups(roles: Iterable[RoleUse]) -> list[tuple[frozenset[int], list[RoleUse]]]:
    """Return disjoint sets of CPUs, each with the roles that use any of them."""
    groups: list[tuple[frozenset[int], list[RoleUse]]] = []
    for role in roles:
        cpus, members = role.cpus, [role]
        apart = []
        for group in groups:
            # A role may overlap with two groups that were disjoint so far; it joins them into one.
            if group[0] & cpus:
                cpus, members = cpus | group[0], [*group[1], *members]
            else:
                apart.append(group)
        groups = [*apart, (cpus, members)]
    return groups


def _waited_s(roles: Iterable[RoleUse]) -> float | None:
    waits = [role.waited_ns for role in roles]
    known = [wait for wait in waits if wait is not None]
    # A sum without the unknown waits would be too small, and would hide what was taken.
    return sum(known) / 1e9 if len(known) == len(waits) else None
