"""Reads the files in a trial's folder into tables: ledger and journal become task and submit rows.

A killed trial is read like a finished one; missing values are null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lab.core.backend import services_of
from lab.core.model import Periodic, TrialSpec
from lab.core.outcomes import Ack
from lab.host import wall_clock
from lab.planning import registry
from lab.planning.phases import OFFERING, UNINSTRUMENTED, Phase
from lab.planning.tasks import make_jobs, make_tasks, right_answer
from lab.recording import ledger_table
from lab.recording.driver_status import INSTANTS
from lab.recording.ledger_reader import (
    OUTCOMES,
    Execution,
    Header,
    Intent,
    TaskError,
    header,
    is_ledger,
    task_errors,
)
from lab.recording.sample import Sample
from lab.recording.server_stats import BYTES, COMMANDS
from lab.results.schema.task import TaskRow
from lab.validation.schedule_match import match_firings
from lab.worker import user_function
from lab.worker.ledger import ACCEPTED, ERROR, NO_ANSWER

PHASES = {phase.number: str(phase) for phase in OFFERING}


@dataclass(frozen=True, slots=True)
class Records:
    """The tables of one attempt.

    Attributes:
        ledger: `TaskRow` columns.
        tasks: The same without the events after the end of the drain.
        submits: `SubmitRow` columns.
        samples: `SampleRow` columns.
        end_ns: The end of the drain; None if the driver was killed.
    """

    ledger: pd.DataFrame
    tasks: pd.DataFrame
    submits: pd.DataFrame
    samples: pd.DataFrame
    end_ns: int | None


ACKS = {ACCEPTED: str(Ack.OK), ERROR: str(Ack.ERROR)}


def read_offers(trial_id: str, folder: Path) -> pd.DataFrame:
    """Read the journal: the columns of `SubmitRow`, and t5_ns."""
    path = folder / "intents.bin"
    rows = ledger_table.rows(path) if is_ledger(path) else ledger_table.NO_ROWS
    offers = pd.DataFrame(rows, columns=list(Intent._fields))
    return pd.DataFrame(
        {
            "trial_id": pd.Series(trial_id, index=offers.index, dtype="str"),
            "task_id": offers.task_id,
            "phase": offers.phase.map(PHASES).fillna("").astype("str"),
            "t0_ns": _within(offers.t0_ns),
            "t1_ns": _instants(offers.t1_ns),
            "t2_ns": _instants(offers.t2_ns),
            "ack": offers.acknowledged.map(ACKS).fillna(str(Ack.UNKNOWN)).astype("str"),
            "t5_ns": _instants(offers.t5_ns),
        }
    )


def read_tasks(trial_id: str, folder: Path, offers: pd.DataFrame) -> pd.DataFrame:
    """Join the ledger with the journal: the columns of `TaskRow`, one row per execution.

    A task that never started has one row without t3. An execution of a task that was never offered
    has an empty phase.
    """
    done = _read_ledger(folder)
    offered = offers.drop(columns=["trial_id", "ack"])
    # Nullable types before the join: pandas converts integers to floats in a column with nulls.
    tasks = offered.astype({"t0_ns": "Int64"}).merge(
        done.astype({"attempt_no": "Int64"}), on="task_id", how="outer"
    )
    tasks["attempt_no"] = tasks.attempt_no.fillna(1).astype("int64")
    tasks = tasks.fillna({"outcome": "unstarted", "phase": "", "worker": ""})
    # The ledger has 0 as the answer of an execution that raised, which may be a right checksum.
    tasks["answer"] = tasks.answer.where((tasks.outcome == "ok") & (tasks.answer != NO_ANSWER))
    tasks["trial_id"] = pd.Series(trial_id, index=tasks.index, dtype="str")
    return tasks[[field.name for field in fields(TaskRow)]]


def truncate_at(tasks: pd.DataFrame, end_ns: int | None) -> pd.DataFrame:
    """Remove events after the window's end, because stopping a system cancels its running tasks.

    Executions that ended later count as unfinished, and those that began later as unstarted. The
    uninstrumented burst is not changed: it is offered after the window.
    """
    if end_ns is None:
        return tasks
    tasks = tasks.copy()
    in_window = ~tasks.phase.isin(UNINSTRUMENTED)
    for instant, outcome, unknown in (
        # In this order: an execution that began too late has ended too late, and is unstarted.
        ("t4_ns", "unfinished", ["t4_ns", "answer"]),
        ("t3_ns", "unstarted", ["t3_ns", "node"]),
    ):
        later = in_window & (tasks[instant] > end_ns).fillna(value=False)
        tasks.loc[later, unknown] = pd.NA
        tasks.loc[later, "outcome"] = outcome
    return tasks


def read_first_task(folder: Path, tasks: pd.DataFrame) -> dict[str, int | None]:
    """Return the instants of the first verify task that finished (METHOD M25).

    They are its submit call, its start, and the end of the import of the lab's task code in its
    process. Empty where no task verified the workers.
    """
    done = tasks[(tasks.phase == Phase.VERIFY) & tasks.t4_ns.notna() & tasks.t1_ns.notna()]
    if done.empty:
        return {}
    first = done.sort_values("t4_ns").iloc[0]
    pid = int(str(first.worker).partition(":")[0])
    headers = map(header, (folder / "ledger").glob(f"{first.node}-*-{pid}-*.bin"))
    return {
        "t_first_offer_ns": int(first.t1_ns),
        "t_first_start_ns": int(first.t3_ns),
        "t_first_import_ns": min((h.imported_ns for h in headers), default=None),
    }


def worker_processes(window: pd.DataFrame) -> int | None:
    """Count the processes that ran tasks of a window; None if there were none."""
    workers = window.worker[window.t3_ns.notna()].unique()
    return len({str(worker).partition(":")[0] for worker in workers}) or None


def read_counters(spec: TrialSpec, status: Mapping[str, Any]) -> dict[str, int | None]:
    """Sum the increase of the servers' counters from before to after the window.

    Null if a server lacks the counter, or could not be read at the end.
    """
    servers = services_of(registry.select(spec.label).backend, spec.variant)
    # Without an end of the window no reading is late enough, so that the totals are null.
    end_ns = status.get("t_end_ns", math.inf)
    series: dict[tuple[str, str], list[Sample]] = {}
    for reading in (Sample(**read) for read in status.get("samples", [])):
        series.setdefault((reading.source, reading.metric), []).append(reading)

    def total(counters: Mapping[str, Sequence[str]]) -> int | None:
        # No sample has an empty name: a server without such counters makes the total null.
        wanted = [series.get((s, name), []) for s in servers for name in counters.get(s, [""])]
        if not wanted or not all(samples and samples[-1].t_ns > end_ns for samples in wanted):
            return None
        return round(sum(samples[-1].value - samples[0].value for samples in wanted))

    return {"broker_commands": total(COMMANDS), "broker_bytes": total(BYTES)}


def right_answers(spec: TrialSpec) -> dict[int, int] | None:
    """Return the checksum of the right answer of each task of the window, by task id.

    None if it is unknown: the task is a user's function whose answer does not repeat or is not
    checked.
    """
    executes = registry.select(spec.label).backend.executes
    ids = Phase.MEASURE.ids[: spec.arrival.n_tasks]
    if user_function.is_user_function(spec.workload):
        if spec.answer is None or spec.unchecked:
            return None
        # A reference that runs no task records the answer 0.
        return dict.fromkeys(ids, spec.answer * executes)
    _, module = registry.workload(spec.workload)
    tasks = make_tasks(module, spec.size, spec.seed, ids, as_coroutines=False)
    return {task.id: right_answer(module, task, executes=executes) for task in tasks}


def wrong_in_warm_up(spec: TrialSpec, tasks: pd.DataFrame) -> int:
    """Count the wrong answers of a warm-up, if the answers of the window are not checked."""
    if spec.answer is None or not spec.unchecked:
        return 0
    answers = tasks.answer[tasks.phase == Phase.WARM_UP].dropna()
    return int((answers != spec.answer).sum())


def unchecked(tasks: pd.DataFrame, expected: Mapping[int, int] | None) -> int:
    """Count the answers of the window that were to be checked and could not be."""
    window = tasks[(tasks.phase == Phase.MEASURE) & (tasks.outcome == "ok")]
    return 0 if expected is None else int(window.answer.isna().sum())


def cut_short(tasks: pd.DataFrame) -> int:
    """Count the tasks of which no execution ended, in the last phase that has any.

    `tasks` has one row per execution: a task that was delivered again counts once, and not at all
    if a later execution ended.
    """
    is_open = (tasks.outcome == "unfinished").groupby([tasks.phase, tasks.task_id]).all()
    counts = is_open.groupby("phase").sum()
    ordered = (int(counts.get(phase, 0)) for phase in (Phase.MEASURE, Phase.WARM_UP, Phase.VERIFY))
    return next(filter(None, ordered), 0)


def read_occurrences(
    spec: TrialSpec, tasks: pd.DataFrame, status: Mapping[str, Any]
) -> pd.DataFrame:
    """Judge the firings of every job: the columns of `FiringRow`.

    Empty if the trial is not periodic, or its window did not end.
    """
    arrival = spec.arrival
    needed = ("wall", "t_begin_ns", "t_end_ns")
    if not isinstance(arrival, Periodic) or not all(map(status.get, needed)):
        return match_firings((), tasks, 0, (0, 0), 0)
    _, module = registry.workload(spec.workload)
    jobs = make_jobs(module, spec, as_coroutines=False)
    window = status["t_begin_ns"], status["t_end_ns"]
    return match_firings(
        jobs, tasks, arrival.n_occurrences, window, wall_clock.offset_ns(status["wall"][0])
    )


def foreign_files(folder: Path) -> list[str]:
    """Return the names of files in the ledger's folder that tasks wrote, not the lab's workers."""
    errors = {error.path for error in task_errors(folder / "ledger")}
    paths = (folder / "ledger").glob("*")
    return sorted(path.name for path in paths if path not in errors and not _is_record(path))


def _is_record(path: Path) -> bool:
    return path.suffix == ".bin" and is_ledger(path)


def first_error(folder: Path) -> TaskError | None:
    """Return the first exception of a task, preferably in the window; None if no task raised."""
    errors = task_errors(folder / "ledger")
    ids = Phase.MEASURE.ids
    in_window = [error for error in errors if error.task_id in ids]
    return next(iter(in_window or errors), None)


def _read_ledger(folder: Path) -> pd.DataFrame:
    paths = [path for path in sorted((folder / "ledger").glob("*.bin")) if is_ledger(path)]
    parts = [ledger_table.rows(path) for path in paths]
    read = pd.DataFrame(ledger_table.executions(parts), columns=list(Execution._fields))
    headers = pd.DataFrame(map(header, paths), columns=list(Header._fields), dtype="int64")
    of_row = headers.loc[np.repeat(headers.index, list(map(len, parts)))].reset_index(drop=True)
    done = pd.DataFrame(
        {
            "task_id": read.task_id,
            "t3_ns": read.started_ns,
            "t4_ns": read.finished_ns,
            "node": of_row.node.astype("Int64"),
            "worker": of_row.pid.astype("str") + ":" + read.thread.astype("str"),
            "outcome": read.outcome.map(OUTCOMES).astype("str"),
            "answer": read.answer.astype("Int64"),
        }
    )
    done = done.sort_values(["task_id", "t3_ns"], ignore_index=True)
    done["attempt_no"] = done.groupby("task_id").cumcount() + 1
    done["t3_ns"], done["t4_ns"] = _instants(done.t3_ns), _instants(done.t4_ns)
    return done


def _instants(column_ns: pd.Series[int]) -> pd.Series[Any]:
    """Replace the ledger's zero, which means that the event has not happened, by null."""
    return _within(column_ns).astype("Int64").mask(column_ns == 0)


def _within(column_ns: pd.Series[int]) -> pd.Series[int]:
    """Clip impossible instants of a damaged record to the range of the clock.

    Its durations are then wrong, so that the checks of the trial reject it, and no difference of
    two instants overflows.
    """
    return column_ns.where(column_ns == 0, column_ns.clip(INSTANTS[1], INSTANTS[-1]))
