"""Tests faults in containers on real systems: each hit is proved, and nothing of it remains."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lab.core.faults import Fault, FaultKind, of_kind
from lab.core.model import Periodic
from lab.planning.presets import CRON
from tests.cluster.containers import left_of
from tests.factories import fault_trials
from tests.factories.fault_trials import LONG, goes_on, interrupted, lost
from tests.factories.trials import run, spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.calm, pytest.mark.usefixtures("containers")]


def tables_of(
    folder: Path, label: str, fault: Fault, deadline_s: float = 3.0, **changes: Any
) -> dict[str, pd.DataFrame]:
    """Run one trial in containers, and return its tables; nothing remains in the engine."""
    tables = fault_trials.tables_of(folder, label, fault, deadline_s, provider="compose", **changes)
    assert left_of(os.getpid()) == []
    return tables


def loop_devices_of(trial_id: str) -> list[str]:
    """Return the files of a trial that are still attached to loop devices."""
    files = Path("/sys/block").glob("loop*/loop/backing_file")
    return [text for file in files if trial_id in (text := file.read_text())]


def last_hit(tables: dict[str, pd.DataFrame]) -> pd.Series:
    """Return the last row of the table of faults, which was a hit."""
    hit = tables["fault"].iloc[-1]
    assert hit.status == "hit", hit.reason
    return hit


@pytest.mark.parametrize("label", ["celery", "rq", "multiprocessing"])
def test_the_control_loses_nothing(label: str, tmp_path: Path) -> None:
    """Everything is prepared, and nothing is done."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.NONE))
    last_hit(tables)
    assert lost(tables) == set()


def test_celery_loses_what_a_killed_container_executed(tmp_path: Path) -> None:
    """By default a task is acknowledged before it runs (METHOD M29)."""
    fault = of_kind(FaultKind.WORKER_KILL)
    tables = tables_of(tmp_path, "celery@default", fault, 6.0, **LONG)
    hit = last_hit(tables)
    assert (hit.activity, hit.proof) == ("executing", "State.ExitCode 137")
    assert hit.restarted_ns > hit.injected_ns
    assert interrupted(tables)
    assert interrupted(tables) <= lost(tables)


def test_a_killed_container_interrupts_what_its_forks_executed(tmp_path: Path) -> None:
    """RQ forks for each task, so its processes are others a moment later."""
    tables = tables_of(tmp_path, "rq", of_kind(FaultKind.WORKER_KILL), 6.0, **LONG)
    assert last_hit(tables).activity == "executing"
    assert interrupted(tables)
    assert interrupted(tables) <= lost(tables)


@pytest.mark.parametrize("label", ["rq", "celery", "multiprocessing"])
def test_a_killed_child_is_replaced(label: str, tmp_path: Path) -> None:
    """The process ends, its worker goes on, and its task is lost by these defaults."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.CHILD_KILL), 6.0, **LONG)
    hit = last_hit(tables)
    assert hit.proof.endswith("has ended")
    assert interrupted(tables)
    assert interrupted(tables) <= lost(tables)


@pytest.mark.parametrize("label", ["celery", "rq"])
def test_a_terminated_worker_finishes_its_tasks(label: str, tmp_path: Path) -> None:
    """The signal reaches each worker of the node once; their warm shutdown loses nothing."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.WORKER_TERM), 10.0, **LONG)
    assert "State.ExitCode 0" in last_hit(tables).proof
    assert {*tables["outcome"].outcome} == {"ok"}


@pytest.mark.parametrize("kind", [FaultKind.WORKER_PAUSE, FaultKind.BROKER_PAUSE])
def test_a_paused_container_loses_nothing(kind: FaultKind, tmp_path: Path) -> None:
    """Its tasks finish when it continues."""
    fault = replace(of_kind(kind), heal_s=3.0)
    tables = tables_of(tmp_path, "celery", fault, deadline_s=10.0)
    hit = last_hit(tables)
    assert hit.proof == "State.Status paused"
    assert hit.healed_ns - hit.injected_ns >= 3e9
    assert lost(tables) == set()


@pytest.mark.parametrize(
    ("label", "persistence"),
    [("celery", "none"), ("celery[prefork+rabbitmq]", "")],
)
def test_a_killed_server_is_restarted(label: str, persistence: str, tmp_path: Path) -> None:
    """The system goes on with what it offers after the restart."""
    fault = replace(of_kind(FaultKind.BROKER_KILL), persistence=persistence)
    tables = tables_of(tmp_path, label, fault, deadline_s=30.0)
    hit = last_hit(tables)
    assert hit.proof == "State.ExitCode 137"
    assert goes_on(tables)


def test_a_cut_network_heals(tmp_path: Path) -> None:
    """The interfaces of a worker are down for a while, and its addresses are the same after it."""
    fault = replace(of_kind(FaultKind.NETWORK_CUT), heal_s=3.0)
    tables = tables_of(tmp_path, "celery", fault, deadline_s=30.0)
    hit = last_hit(tables)
    assert hit.proof == "interfaces up: {'eth0': False}"
    assert hit.healed_ns - hit.injected_ns >= 3e9
    tasks = tables["task"]
    during = tasks[(tasks.t3_ns > hit.injected_ns + 1e9) & (tasks.t3_ns < hit.healed_ns)]
    after = tasks[tasks.t3_ns > hit.healed_ns]
    assert len(during) <= 10  # those that the worker had fetched before
    assert len(after) > 10


@pytest.mark.parametrize(
    ("label", "persistence", "folder"),
    [
        ("celery", "aof-everysec", "/data"),
        ("celery[prefork+rabbitmq]", "", "/var/lib/rabbitmq"),
    ],
)
def test_a_full_disk_stops_a_server_that_must_write(
    label: str, persistence: str, folder: str, tmp_path: Path
) -> None:
    """The server refuses or blocks while its disk is full, and goes on when it is freed."""
    fault = replace(of_kind(FaultKind.BROKER_DISK_FULL), persistence=persistence, heal_s=3.0)
    tables = tables_of(tmp_path, label, fault, deadline_s=30.0)
    hit = last_hit(tables)
    assert hit.proof == f"0 KiB free in {folder}"
    after = tables["task"][tables["task"].t3_ns > hit.healed_ns]
    assert len(after) > 10


@pytest.mark.parametrize("label", ["celery", "rq", "celery[prefork+rabbitmq]"])
def test_a_slow_network_delays_every_call_and_loses_nothing(label: str, tmp_path: Path) -> None:
    """A call of the server needs a round trip, which cannot be shorter than the delay."""
    tables = tables_of(tmp_path, label, of_kind(FaultKind.NETWORK_SLOW), deadline_s=10.0)
    hit = last_hit(tables)
    before_ms, slow_ms, held_ms, after_ms = map(float, re.findall(r"([\d.]+) ms", hit.proof))
    assert held_ms == 1.0
    assert slow_ms >= 2.0
    assert max(before_ms, after_ms) < slow_ms
    assert hit.healed_ns - hit.injected_ns >= 5e9
    submits = tables["submit"]
    # The delay ends up to a connect before it is measured that it has.
    end_ns = hit.injected_ns + 4.9e9
    took_ns = (submits.t2_ns - submits.t1_ns)[submits.t1_ns.between(hit.injected_ns, end_ns)]
    assert len(took_ns) > 20
    if "rabbitmq" not in label:  # which confirms no message by default
        assert took_ns.min() >= 2e6
    assert lost(tables) == set()


@pytest.mark.parametrize(
    ("label", "persistence"),
    [("celery", "aof-always"), ("celery", "rdb"), ("celery[prefork+rabbitmq]", "")],
)
def test_a_server_without_power_goes_on_with_its_synced_data(
    label: str, persistence: str, tmp_path: Path
) -> None:
    """The disk fails at once, and is mounted again for the restart."""
    fault = replace(of_kind(FaultKind.POWER_LOSS), persistence=persistence)
    tables = tables_of(tmp_path, label, fault, deadline_s=30.0)
    hit = last_hit(tables)
    assert hit.proof == "State.ExitCode 137; the file system fails with EIO"
    assert goes_on(tables)
    assert loop_devices_of(hit.trial_id) == []


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_stepped_clock_of_a_container_loses_no_task(step_s: float, tmp_path: Path) -> None:
    """The worker reads it; its ledger and the other containers do not."""
    fault = replace(of_kind(FaultKind.CLOCK_STEP), step_s=step_s)
    tables = tables_of(tmp_path, "celery", fault, deadline_s=10.0)
    hit = last_hit(tables)
    clocks = re.findall(r"(wall|monotonic) clock ([+-][\d.]+) s", hit.proof)
    assert [(name, round(float(seconds), 1)) for name, seconds in clocks] == [
        ("wall", step_s),
        ("monotonic", 0.0),
        ("wall", 0.0),
        ("monotonic", 0.0),
    ]
    assert lost(tables) == set()
    tasks = tables["task"]
    assert (tasks.t3_ns >= tasks.t1_ns).all()


@pytest.mark.parametrize(("label", "most"), [("celery-beat", 1), ("deadline-loop", 9)])
def test_a_clock_that_goes_back_stops_celery_beat(label: str, most: int, tmp_path: Path) -> None:
    """A scheduler that waits by the monotonic clock goes on."""
    fault = replace(of_kind(FaultKind.CLOCK_STEP), step_s=-3600.0)
    spec = spec_of(label, arrival=Periodic(1, 20, every_s=1.0), fault=fault, provider="compose")
    result = run(tmp_path, spec)
    assert left_of(os.getpid()) == []
    assert result.row.flag != "invalid", result.row.flag_reasons
    hit = last_hit(dict(result.tables))
    starts = result.tables["task"].t3_ns
    in_step = int(starts.between(hit.injected_ns, hit.healed_ns).sum())
    assert most - 5 <= in_step <= most


def test_a_killed_submitter_leaves_its_tasks_to_the_workers(tmp_path: Path) -> None:
    """The tasks that were acknowledged before the kill are executed."""
    tables = tables_of(tmp_path, "celery", of_kind(FaultKind.SUBMITTER_KILL), deadline_s=10.0)
    assert last_hit(tables).proof == "exit code 137"
    assert set(tables["outcome"].outcome) == {"ok", "refused"}


def test_a_poison_task_kills_who_executes_it(tmp_path: Path) -> None:
    """The child ends, and the worker goes on with the other tasks."""
    tables = tables_of(tmp_path, "celery", of_kind(FaultKind.POISON))
    assert last_hit(tables).task_ids
    assert lost(tables) == interrupted(tables)


def test_a_killed_scheduler_is_restarted(tmp_path: Path) -> None:
    """Jobs fire again after it."""
    arrival, fault = Periodic(1, 20, every_s=1.0), of_kind(FaultKind.SCHEDULER_KILL)
    spec = spec_of("celery-beat", arrival=arrival, fault=fault, provider="compose")
    result = run(tmp_path, spec)
    assert left_of(os.getpid()) == []
    hit = last_hit(dict(result.tables))
    assert hit.proof == "State.ExitCode 137"
    tasks = result.tables["task"]
    assert (tasks.t3_ns > hit.restarted_ns).any()


def test_a_killed_cron_misses_what_was_due(tmp_path: Path) -> None:
    """It has no record of the jobs that were due, and starts the next one.

    Takes two to three minutes, because each run is a minute after the one before.
    """
    arrival, fault = Periodic(1, 3, cron=CRON), of_kind(FaultKind.SCHEDULER_KILL)
    spec = spec_of("django-crontab", arrival=arrival, fault=fault, provider="compose")
    result = run(tmp_path, spec)
    assert left_of(os.getpid()) == []
    hit = last_hit(dict(result.tables))
    assert (hit.role, hit.target, hit.proof) == ("scheduler", "cron", "State.ExitCode 137")
    firings = result.tables["firing"]
    is_hit = firings.nominal_ns.between(hit.injected_ns, hit.restarted_ns)
    assert firings.outcome[is_hit].tolist() == ["missed"]
    assert firings.outcome[~is_hit].tolist() == ["fired", "fired"]
