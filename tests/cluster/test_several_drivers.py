"""Tests several drivers in one container: the first one starts the others beside it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from lab.core.model import Arrival, Burst, Paced, Topology
from lab.core.provider import Cluster
from tests.factories.trials import look_in, spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("containers")]

N_TASKS = 90


@pytest.mark.parametrize(
    ("label", "arrival"),
    [("celery[prefork]", Paced(N_TASKS, 100.0)), ("rq[worker]", Burst(N_TASKS))],
)
def test_three_drivers_offer_one_plan_in_a_container(
    label: str, arrival: Arrival, tmp_path: Path
) -> None:
    """Each task is offered and executed once, and no driver counts as a worker."""
    topology = Topology(1, 1, 1, drivers=3)
    spec = spec_of(label, arrival=arrival, topology=topology, provider="compose")
    drivers: list[str] = []

    def look(cluster: Cluster) -> None:
        roles = cluster.processes()
        drivers.extend(" ".join(psutil.Process(pid).cmdline()) for pid in roles["driver"])
        assert not {*roles["driver"]} & {*roles["workers"]}

    result = look_in(tmp_path, spec, look)
    row = result.row
    assert (row.status, row.reason) == ("ok", "")
    assert (row.drivers, row.n_sent, row.n_done, row.n_duplicated) == (3, N_TASKS, N_TASKS, 0)
    assert [command.partition("lab.driver ")[2] for command in drivers] == [
        "/trial",
        "/trial 1",
        "/trial 2",
    ]
    submits = result.tables["submit"]
    window = submits[submits.phase == "measure"]
    assert sorted(window.task_id) == [*range(window.task_id.min(), window.task_id.min() + N_TASKS)]
