"""Tests the judgement of trials with a fault, from their records and the files in their folder."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from lab.core.faults import Fault, FaultKind
from lab.core.model import Arrival, Flag, Paced, Periodic, TrialSpec
from lab.core.outcomes import TaskState
from lab.recording.task_states import NAME
from lab.running.trial import TrialObservation, place
from lab.validation import checker, fault_records
from lab.validation.fault_records import TaskOutcomes
from lab.validation.trial_files import Records, truncate_at
from tests.factories.scripted_system import ScriptedSystem, right
from tests.factories.trials import spec_of

KILL = Fault(FaultKind.WORKER_KILL)
PACED = Paced(10, 10.0)
# Early acknowledgement: a started task is never delivered again, a waiting one after an hour.
CELERY, SAFE = "celery[prefork]@default", "celery[prefork]@safe"


def observed(
    folder: Path,
    system: ScriptedSystem,
    label: str,
    fault: Fault | None,
    arrival: Arrival = PACED,
) -> tuple[TrialObservation, TrialSpec]:
    """Return the lab's observations of a trial of a scripted system."""
    spec = spec_of(label, "io", arrival, size=50_000, fault=fault)
    outcome = TrialObservation(spec, 1, folder, place(spec), 0, "", hits=system.faults)
    return outcome, spec


def judged(
    folder: Path,
    system: ScriptedSystem,
    end_s: float | None,
    label: str = CELERY,
    fault: Fault | None = KILL,
    arrival: Arrival = PACED,
) -> TaskOutcomes:
    """Judge a trial whose drain ended at an instant; None: the driver was killed."""
    outcome, _ = observed(folder, system, label, fault, arrival)
    ledger, end_ns = system.tasks(), None if end_s is None else round(end_s * 1e9)
    offers = pd.DataFrame(system.submits)
    # As in the files: a task without an execution has a row with the instants of its submit call.
    ledger["t2_ns"] = offers["t2_ns"].max()
    tasks = truncate_at(ledger, end_ns)
    answers = {i: right(i) for i in tasks["task_id"]}
    table = checker.outcomes(tasks, offers, answers, repeats=isinstance(arrival, Periodic))
    samples = pd.DataFrame()
    return fault_records.judge(outcome, table, Records(ledger, tasks, offers, samples, end_ns))


def outcomes(result: TaskOutcomes) -> dict[int, str]:
    """Return the outcome of each task."""
    table = result.outcomes
    return dict(zip(table["task_id"], table["outcome"], strict=True))


@pytest.fixture
def killed() -> ScriptedSystem:
    """Return a system whose worker is killed in task 2, and that serves task 1 only."""
    system = ScriptedSystem()
    for task_id in (1, 2, 3):
        system.submit(task_id, 1.0)
    system.execute(1, 1.1)
    system.execute(2, 1.9, "unfinished")
    system.hit(2.0, [2], over_s=3.0)
    return system


def test_the_horizons_are_those_of_the_system(killed: ScriptedSystem, tmp_path: Path) -> None:
    """A started task is lost at once if it was acknowledged early; a waiting one is unknown."""
    assert outcomes(judged(tmp_path, killed, 100.0)) == {1: "ok", 2: "lost-silent", 3: "unknown"}
    assert outcomes(judged(tmp_path, killed, 80.0, SAFE)) == {1: "ok", 2: "unknown", 3: "unknown"}
    late = judged(tmp_path, killed, 100.0, SAFE)
    assert outcomes(late) == {1: "ok", 2: "lost-silent", 3: "lost-silent"}


def test_the_states_in_the_folder_are_used(killed: ScriptedSystem, tmp_path: Path) -> None:
    """The driver reads them after the drain."""
    states = {2: TaskState.RUNNING, 3: TaskState.FAILED}
    (tmp_path / NAME).write_text(json.dumps(states))
    result = judged(tmp_path, killed, 100.0)
    assert outcomes(result) == {1: "ok", 2: "stuck", 3: "lost-reported"}
    assert result.issues == []


def test_damaged_states_make_the_trial_invalid(killed: ScriptedSystem, tmp_path: Path) -> None:
    """The tasks are judged without them, and the reason is stated."""
    (tmp_path / NAME).write_text("[")
    result = judged(tmp_path, killed, 100.0)
    assert outcomes(result)[2] == "lost-silent"
    assert [issue.flag for issue in result.issues] == [Flag.INVALID]
    assert "states.json is damaged" in result.issues[0].reason


def test_a_killed_driver_decides_no_loss(killed: ScriptedSystem, tmp_path: Path) -> None:
    """No process waited for the tasks, so they are unknown."""
    assert outcomes(judged(tmp_path, killed, None)) == {1: "ok", 2: "unknown", 3: "unknown"}


def test_a_trial_without_a_fault_keeps_its_outcomes(killed: ScriptedSystem, tmp_path: Path) -> None:
    """It has the classes of the checker, and no hits."""
    killed.faults.clear()
    result = judged(tmp_path, killed, 100.0, fault=None)
    assert outcomes(result) == {1: "ok", 2: "partial", 3: "lost-silent"}
    assert (result.hits, result.columns) == ((), {"n_hits": 0, "n_missed_hits": 0})


def test_a_job_that_runs_many_times_is_not_duplicated(tmp_path: Path) -> None:
    """Its missed and doubled runs are in the table of firings, with a fault as without."""
    system = ScriptedSystem()
    system.submit(1, 1.0)
    for run in range(1, 6):
        system.execute(1, 1.0 + run)
    system.hit(2.5, [1], over_s=3.0)
    result = judged(tmp_path, system, 100.0, arrival=Periodic(1, 5, every_s=1.0))
    assert outcomes(result) == {1: "ok"}
    assert result.columns == {"n_hits": 1, "n_missed_hits": 0}
    assert outcomes(judged(tmp_path, system, 100.0)) == {1: "duplicated"}


def test_hits_and_misses_are_counted(killed: ScriptedSystem, tmp_path: Path) -> None:
    """A hit that missed is a row without an instant."""
    killed.hit(4.0, status="missed")
    result = judged(tmp_path, killed, 100.0)
    assert [hit.task_ids for hit in result.hits] == [{2}]
    assert (result.columns["n_hits"], result.columns["n_missed_hits"]) == (1, 1)


def test_only_a_system_with_live_workers_has_stopped_consuming(
    killed: ScriptedSystem, tmp_path: Path
) -> None:
    """Task 4 is accepted after the restart of the worker and never started."""
    killed.submit(4, 5.0)
    end_s = 10_000.0
    assert judged(tmp_path, killed, end_s).columns["stopped_consuming"] == 1
    never = Fault(FaultKind.WORKER_KILL, restart_s=None)
    assert "stopped_consuming" not in judged(tmp_path, killed, end_s, fault=never).columns


def test_a_row_states_the_promises_of_the_system() -> None:
    """They follow from its settings, and from the factors of the fault."""
    fault = Fault(FaultKind.BROKER_KILL, restart_s=2.0, persistence="aof-always")
    spec = spec_of(CELERY, fault=fault)
    assert fault_records.promises(spec) == {
        "ack_means": "on-disk",
        "horizon_s": 3_700.0,
        "started_horizon_s": None,
        "persistence": "aof-always",
        "restart_s": 2.0,
    }
    plain = fault_records.promises(spec_of(CELERY))
    assert (plain["ack_means"], plain["horizon_s"], plain["restart_s"]) == ("accepted", None, None)
    assert fault_records.promises(spec_of(SAFE, fault=KILL))["started_horizon_s"] == 61.0
