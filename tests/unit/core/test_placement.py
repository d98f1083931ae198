"""Every role gets its CPUs, for any number of cores, and a row says when two roles share one."""

from __future__ import annotations

import psutil
import pytest

from lab.core import placement
from lab.core.model import Topology


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests decide how many physical cores there are."""
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 64)


@pytest.mark.parametrize(
    ("cpus", "sweep"), [(1, (1,)), (2, (1, 2)), (4, (1, 2, 4)), (6, (1, 2, 4, 6))]
)
def test_the_sweep_doubles_and_ends_with_all(cpus: int, sweep: tuple[int, ...]) -> None:
    """Core counts are 1, 2, 4, ... and all of them."""
    assert placement.core_counts(cpus) == sweep


@pytest.mark.parametrize("n", range(2, 17))
@pytest.mark.parametrize("nodes", [1, 2, 3])
@pytest.mark.parametrize("cores", [1, 2, 4])
def test_dedicated_means_that_no_two_roles_share(n: int, nodes: int, cores: int) -> None:
    """Whatever the machine: `dedicated` is said exactly when all sets are disjoint."""
    made = placement.place(
        range(n), Topology(nodes, cores, cores), has_services=True, in_driver=False
    )
    roles = [set(made.driver), set(made.services), *map(set, made.nodes)]
    disjoint = len(set().union(*roles)) == sum(map(len, roles))
    assert made.dedicated == (disjoint and all(len(node) == cores for node in made.nodes))
    assert made.driver
    assert made.services
    assert len(made.nodes) == nodes


def test_two_cores_for_one_worker_core_leave_one_for_driver_and_service() -> None:
    """On two CPUs the node has one for itself; driver and broker share the other, and say so."""
    made = placement.place((0, 1), Topology(1, 1, 1), has_services=True, in_driver=False)
    assert (made.nodes, made.driver, made.services) == (((1,),), (0,), (0,))
    assert not made.dedicated


def test_four_cores_keep_driver_service_and_node_apart() -> None:
    """With room, each role has CPUs of its own."""
    made = placement.place((0, 1, 2, 3), Topology(1, 2, 2), has_services=True, in_driver=False)
    assert (made.nodes, made.driver, made.services) == (((2, 3),), (0,), (1,))
    assert made.dedicated


def test_a_system_in_the_driver_gets_exactly_a_nodes_cores() -> None:
    """In-process systems run on as many CPUs as a node's workers would."""
    made = placement.place((0, 1, 2, 3), Topology(1, 2, 2), has_services=False, in_driver=True)
    assert made.driver == made.nodes[0] == (2, 3)
    assert made.services == ()


def test_more_than_there_is_wraps_round_and_says_oversubscribed() -> None:
    """Nodes beyond the machine share CPUs, which makes them functional only (METHOD M22)."""
    made = placement.place((0, 1), Topology(4, 1, 1), has_services=True, in_driver=False)
    assert made.mode == "oversubscribed"
    assert not made.dedicated
    assert all(len(node) == 1 for node in made.nodes)


@pytest.mark.parametrize(
    ("nodes", "mode"), [(1, "quota"), (3, "quota"), (4, "oversubscribed"), (8, "oversubscribed")]
)
def test_quotas_hold_while_the_machine_has_time_to_spare(nodes: int, mode: str) -> None:
    """Half a CPU each is sound up to 80 % of two cores, and functional only beyond (M22)."""
    made = placement.place(
        (0, 1), Topology(nodes, 1, 1, quota_cpus=0.5), has_services=True, in_driver=False
    )
    assert made.mode == mode
    assert not made.dedicated


def test_hardware_threads_are_not_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four CPUs of two physical cores hold no four-core node."""
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 2)
    assert (
        placement.place(range(4), Topology(1, 2, 2), has_services=False, in_driver=True).mode
        == "cpuset"
    )
    assert (
        placement.place(range(4), Topology(1, 4, 4), has_services=False, in_driver=True).mode
        == "oversubscribed"
    )
