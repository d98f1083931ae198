"""Tests the assignment of CPUs to roles, and the flag for shared CPUs."""

from __future__ import annotations

import psutil
import pytest

from lab.core import placement
from lab.core.model import Topology


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the machine 64 physical cores."""
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 64)


@pytest.mark.parametrize(
    ("cpus", "sweep"), [(1, (1,)), (2, (1, 2)), (4, (1, 2, 4)), (6, (1, 2, 4, 6))]
)
def test_core_counts_are_powers_of_two_and_all_cores(cpus: int, sweep: tuple[int, ...]) -> None:
    """Core counts are 1, 2, 4, ... and the number of all cores."""
    assert placement.core_counts(cpus) == sweep


@pytest.mark.parametrize("n", range(2, 17))
@pytest.mark.parametrize("nodes", [1, 2, 3])
@pytest.mark.parametrize("cores", [1, 2, 4])
def test_dedicated_means_that_no_two_roles_share(n: int, nodes: int, cores: int) -> None:
    """On every machine, `dedicated` is True if and only if all sets of CPUs are disjoint."""
    placed = placement.place(
        range(n), Topology(nodes, cores, cores), has_services=True, in_driver=False
    )
    roles = [set(placed.driver), set(placed.services), *map(set, placed.nodes)]
    disjoint = len(set().union(*roles)) == sum(map(len, roles))
    assert placed.dedicated == (disjoint and all(len(node) == cores for node in placed.nodes))
    assert placed.driver
    assert placed.services
    assert len(placed.nodes) == nodes


def test_on_two_cores_driver_and_service_share_one() -> None:
    """On two CPUs the node has one; driver and broker share the other, so it is not dedicated."""
    placed = placement.place((0, 1), Topology(1, 1, 1), has_services=True, in_driver=False)
    assert (placed.nodes, placed.driver, placed.services) == (((1,),), (0,), (0,))
    assert not placed.dedicated


def test_on_four_cores_driver_service_and_node_are_separate() -> None:
    """With enough CPUs, each role has separate ones."""
    placed = placement.place((0, 1, 2, 3), Topology(1, 2, 2), has_services=True, in_driver=False)
    assert (placed.nodes, placed.driver, placed.services) == (((2, 3),), (0,), (1,))
    assert placed.dedicated


@pytest.mark.parametrize(
    ("drivers", "cpus", "services"),
    [(2, (0, 1), (2, 3)), (3, (0, 1, 2), (3,)), (9, (0, 1, 2), (3,))],
)
def test_each_driver_has_a_cpu_as_far_as_there_are_any(
    drivers: int, cpus: tuple[int, ...], services: tuple[int, ...]
) -> None:
    """One CPU is for the servers, however many drivers there are."""
    topology = Topology(1, 4, 4, drivers=drivers)
    placed = placement.place(range(8), topology, has_services=True, in_driver=False)
    assert (placed.driver, placed.services, placed.nodes) == (cpus, services, ((4, 5, 6, 7),))
    assert placed.dedicated


def test_an_in_process_backend_gets_exactly_the_cores_of_a_node() -> None:
    """In-process backends run on as many CPUs as a node's workers would."""
    placed = placement.place((0, 1, 2, 3), Topology(1, 2, 2), has_services=False, in_driver=True)
    assert placed.driver == placed.nodes[0] == (2, 3)
    assert placed.services == ()


def test_too_many_nodes_share_cpus_and_are_oversubscribed() -> None:
    """More nodes than CPUs share CPUs, which is good for functional tests only (METHOD M22)."""
    placed = placement.place((0, 1), Topology(4, 1, 1), has_services=True, in_driver=False)
    assert placed.mode == "oversubscribed"
    assert not placed.dedicated
    assert all(len(node) == 1 for node in placed.nodes)


@pytest.mark.parametrize(
    ("nodes", "mode"), [(1, "quota"), (3, "quota"), (4, "oversubscribed"), (8, "oversubscribed")]
)
def test_quotas_above_80_percent_of_the_cores_are_oversubscribed(nodes: int, mode: str) -> None:
    """Quotas of half a CPU are valid up to 80 % of two cores (METHOD M22)."""
    placed = placement.place(
        (0, 1), Topology(nodes, 1, 1, quota_cpus=0.5), has_services=True, in_driver=False
    )
    assert placed.mode == mode
    assert not placed.dedicated


def test_hardware_threads_are_not_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node of four cores on two physical cores is oversubscribed, also with four CPUs."""
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 2)
    assert (
        placement.place(range(4), Topology(1, 2, 2), has_services=False, in_driver=True).mode
        == "cpuset"
    )
    assert (
        placement.place(range(4), Topology(1, 4, 4), has_services=False, in_driver=True).mode
        == "oversubscribed"
    )
