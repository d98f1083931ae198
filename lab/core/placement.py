"""Assigns CPUs to the driver, the services and each node."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from lab.core.model import Topology

# Quotas are only met while the machine has idle time: the largest sum of all quotas, as a share of
# the physical cores (METHOD M22).
LARGEST_QUOTAS = 0.8
OVER = "oversubscribed"


@dataclass(frozen=True, slots=True)
class Placement:
    """The CPUs of the driver, the services, each node, and of the lab, which watches the trial.

    mode: kind of node (METHOD M22): ``cpuset``; ``quota``, if it may use its cores for a part of
        the time; ``oversubscribed``, if the nodes need more than the physical cores.
    dedicated: False if any two of driver, services and nodes share a CPU.
    is_remote: Whether services or nodes have the CPUs of other machines.
    """

    driver: tuple[int, ...]
    services: tuple[int, ...]
    nodes: tuple[tuple[int, ...], ...]
    lab: tuple[int, ...]
    mode: str
    dedicated: bool
    is_remote: bool = False


def available_cpus() -> tuple[int, ...]:
    """Return the CPUs that this process may use; a container or `taskset` may limit them."""
    try:
        return tuple(sorted(os.sched_getaffinity(0)))
    except AttributeError:  # this platform cannot pin processes
        return tuple(range(os.cpu_count() or 1))


def core_counts(cpus: int) -> tuple[int, ...]:
    """Return the powers of two below `cpus`, and `cpus`."""
    powers = [1 << n for n in range(cpus.bit_length()) if 1 << n < cpus]
    return (*powers, cpus)


def place(
    cpus: Sequence[int], topology: Topology, *, has_services: bool, in_driver: bool
) -> Placement:
    """Give the nodes whole CPUs from the end of `cpus`, and the rest to driver, services and lab.

    Roles share CPUs if there are too few; then `dedicated` is False. With `in_driver`, the driver
    process is the node and gets exactly the node's CPUs. Several drivers share as many CPUs.
    """
    import psutil  # `lab --help` and shell completion import this module

    wanted = topology.nodes * topology.cores_per_node
    nodes = blocks(cpus, topology.nodes, topology.cores_per_node)
    taken = {cpu for node in nodes for cpu in node}
    fits = wanted <= len(cpus)
    cores = min(len(cpus), psutil.cpu_count(logical=False) or len(cpus))
    if topology.quota_cpus:
        mode = "quota" if topology.nodes * topology.quota_cpus <= LARGEST_QUOTAS * cores else OVER
    else:
        mode = "cpuset" if wanted <= cores else OVER
    rest = sorted(cpu for cpu in cpus if cpu not in taken)
    lab = driver = services = tuple(rest or cpus)
    if in_driver:
        # The driver is the node, so it also submits on the node's CPUs.
        return Placement(nodes[0], (), nodes, lab, mode, dedicated=False)
    if len(rest) > 1 and has_services:
        n_driver = min(topology.drivers, len(rest) - 1)
        driver, services = driver[:n_driver], driver[n_driver:]
    services = services if has_services else ()
    dedicated = fits and bool(rest) and not set(driver) & set(services)
    return Placement(driver, services, nodes, lab, mode, dedicated)


def blocks(cpus: Sequence[int], nodes: int, cores: int) -> tuple[tuple[int, ...], ...]:
    """Give each node whole CPUs from the end of `cpus`; they share CPUs if there are too few."""
    pool = list(reversed(cpus))
    taken = [pool[index % len(pool)] for index in range(nodes * cores)]
    return tuple(tuple(sorted({*taken[at : at + cores]})) for at in range(0, nodes * cores, cores))


def cpu_text(cpus: Sequence[int]) -> str:
    """Format CPU numbers for a table row: ``0,1``."""
    return ",".join(map(str, cpus))
