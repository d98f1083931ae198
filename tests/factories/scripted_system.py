"""Simulates a system that does to each task what a script says, with the records of a trial.

It may lose, duplicate, delay or refuse a task, hang, and report any state. The clock is virtual;
ledger, journal and hits are lists in memory, with the columns of the tables.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import pandas as pd
from hypothesis import settings

from lab.core.faults import FaultKind
from lab.core.outcomes import Ack, TaskState
from lab.results.schema import FaultRow
from lab.results.schema.task import SubmitRow, TaskRow
from lab.validation.checker import outcomes
from lab.validation.fault_outcomes import Aftermath, classify, proved_hits, stopped_consuming
from lab.validation.trial_files import truncate_at

# Half of the usual number: each performs up to twelve tasks and builds tables, for 24 ms.
EXAMPLES = settings(max_examples=50)
TRIAL = "t"
SERVICE_S = 0.05
INTEGERS = ["t0_ns", "t1_ns", "t2_ns", "t3_ns", "t4_ns", "t5_ns", "node", "answer"]


def right(task_id: int) -> int:
    """Return the checksum of a task's right answer: 63 bits, which a float would round."""
    return 2**62 + task_id


@dataclass
class ScriptedSystem:
    """A system with one node; each execution runs in a process of its own.

    `started_horizon_s` is the redelivery horizon of a task that has started.
    """

    horizon_s: float | None = None
    started_horizon_s: float | None = None
    states: dict[int, TaskState] = field(default_factory=dict)
    submits: list[SubmitRow] = field(default_factory=list)
    executions: list[dict[str, Any]] = field(default_factory=list)
    faults: list[FaultRow] = field(default_factory=list)

    def submit(self, task_id: int, at_s: float, ack: Ack = Ack.OK) -> None:
        """Offer a task; the call takes 1 ms."""
        t1_ns = _ns(at_s)
        row = SubmitRow(TRIAL, task_id, "measure", t1_ns, t1_ns, t1_ns + 1_000_000, ack)
        self.submits.append(row)

    def execute(self, task_id: int, at_s: float, outcome: str = "ok") -> None:
        """Start a task; it ends after `SERVICE_S`, except with the outcome unfinished."""
        ended_ns = None if outcome == "unfinished" else _ns(at_s + SERVICE_S)
        answer = {"ok": right(task_id), "wrong": right(task_id) + 1}.get(outcome)
        row = {
            "trial_id": TRIAL,
            "task_id": task_id,
            "phase": "measure",
            "t3_ns": _ns(at_s),
            "t4_ns": ended_ns,
            "node": 0,
            "worker": f"{len(self.executions) + 1}:7",
            "outcome": "ok" if outcome == "wrong" else outcome,
            "answer": answer,
        }
        self.executions.append(row)

    def hit(
        self,
        at_s: float,
        task_ids: Collection[int] = (),
        *,
        over_s: float | None = None,
        kind: FaultKind = FaultKind.WORKER_KILL,
        status: str = "hit",
    ) -> None:
        """Record a hit of the process that executes `task_ids`; it is restarted at `over_s`."""
        restarted_ns = None if over_s is None else _ns(over_s)
        ids = " ".join(map(str, task_ids))
        injected_ns = _ns(at_s) if status == "hit" else None
        row = FaultRow(
            TRIAL, len(self.faults), kind, _ns(at_s), injected_ns, None, restarted_ns,
            "worker", "node-0 pid 1", "executing", ids, "exit code -9", status, "",
        )  # fmt: skip
        self.faults.append(row)

    @property
    def last_event_s(self) -> float:
        """The last instant at which something was offered, hit, restarted or started."""
        instants = [row.t1_ns for row in self.submits]
        instants += [run["t3_ns"] for run in self.executions]
        instants += [row.restarted_ns or row.injected_ns or 0 for row in self.faults]
        return max((instant or 0 for instant in instants), default=0) / 1e9

    def tasks(self) -> pd.DataFrame:
        """Return the table of executions, ordered as by `trial_files.read_tasks`."""
        columns = [f.name for f in fields(TaskRow)]
        frame = pd.DataFrame(self.executions, columns=columns, dtype="object")
        frame["attempt_no"] = 1
        types: Mapping[str, str] = {"task_id": "int64", **dict.fromkeys(INTEGERS, "Int64")}
        frame = frame.astype({**types, "outcome": "str", "worker": "str", "phase": "str"})
        return frame.sort_values(["task_id", "t3_ns"], ignore_index=True)

    def judged(self, end_s: float) -> tuple[pd.DataFrame, bool]:
        """Return the outcomes at the end of the drain, and whether the system stopped consuming."""
        ledger, end_ns = self.tasks(), _ns(end_s)
        tasks = truncate_at(ledger, end_ns)
        submits = pd.DataFrame(self.submits, columns=[f.name for f in fields(SubmitRow)])
        returned = (ledger["outcome"] == "ok") & (ledger["t4_ns"] > end_ns)
        late = {*ledger.loc[returned | (ledger["t3_ns"] > end_ns), "task_id"]}
        horizons_s = self.horizon_s, self.started_horizon_s
        after = Aftermath(proved_hits(self.faults), end_ns, *horizons_s, self.states, late)
        table = outcomes(tasks, submits, {i: right(i) for i in tasks["task_id"]})
        table = classify(table, tasks, submits, after)
        return table, stopped_consuming(table, tasks, submits, after)

    def outcomes(self, end_s: float) -> dict[int, str]:
        """Return the outcome of each task at the end of the drain."""
        table, _ = self.judged(end_s)
        return dict(zip(table["task_id"], table["outcome"], strict=True))


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
