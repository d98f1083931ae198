"""Which CPUs the driver, the services and each node get, and whether any two share one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from lab.model import Topology

# Quotas hold only while the machine has time to spare: their largest sum, as a share (METHOD M22).
LARGEST_QUOTAS = 0.8
OVER = "oversubscribed"


@dataclass(frozen=True, slots=True)
class Placement:
    """Which CPUs the driver, the services and each node get.

    `mode` says what a node is (METHOD M22): ``cpuset``; ``quota`` when it may use its cores for
    part of the time; or ``oversubscribed`` when the nodes want more than the cores can give.
    `dedicated` is False when any two roles share a CPU.
    """

    driver: tuple[int, ...]
    services: tuple[int, ...]
    nodes: tuple[tuple[int, ...], ...]
    mode: str
    dedicated: bool


def available_cpus() -> tuple[int, ...]:
    """Return the CPUs this process may use, which a container or `taskset` may have cut."""
    try:
        return tuple(sorted(os.sched_getaffinity(0)))
    except AttributeError:  # not on this platform: nothing can be pinned, only counted
        return tuple(range(os.cpu_count() or 1))


def core_counts(cpus: int) -> tuple[int, ...]:
    """Return the sweep 1, 2, 4, ... with all of them at the end."""
    powers = [1 << n for n in range(cpus.bit_length()) if 1 << n < cpus]
    return (*powers, cpus)


def place(
    cpus: Sequence[int], topology: Topology, *, has_services: bool, in_driver: bool
) -> Placement:
    """Give nodes whole CPUs from the end, and the driver and the services what is left.

    Where nothing is left, or more is wanted than there is, roles share and the row says so.
    With `in_driver`, the driver's process is the node: it gets exactly the node's CPUs.
    """
    wanted = topology.nodes * topology.cores_per_node
    pool = list(reversed(cpus))
    taken = [pool[index % len(pool)] for index in range(wanted)]
    step = topology.cores_per_node
    nodes = tuple(tuple(sorted(set(taken[at : at + step]))) for at in range(0, wanted, step))
    fits = wanted <= len(cpus)
    cores = min(len(cpus), psutil.cpu_count(logical=False) or len(cpus))
    if topology.quota_cpus:
        mode = "quota" if topology.nodes * topology.quota_cpus <= LARGEST_QUOTAS * cores else OVER
    else:
        mode = "cpuset" if wanted <= cores else OVER
    if in_driver:
        # The driver's own work, submitting, runs on the node's CPUs because it is the node.
        return Placement(nodes[0], (), nodes, mode, dedicated=False)
    rest = sorted(cpu for cpu in cpus if cpu not in taken)
    driver = services = tuple(rest or cpus)
    if len(rest) > 1 and has_services:
        driver, services = driver[:1], driver[1:]
    services = services if has_services else ()
    dedicated = fits and bool(rest) and not set(driver) & set(services)
    return Placement(driver, services, nodes, mode, dedicated)


def cpu_text(cpus: Sequence[int]) -> str:
    """Write CPU numbers as a row shows them."""
    return ",".join(map(str, cpus))
