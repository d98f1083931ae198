"""Defines the tables of tasks, submissions, samples, outcomes and firings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lab.core.column import LATEST_NS, column


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One execution of a task, from the ledger."""

    ABOUT: ClassVar[str] = "One execution of a task, from the ledger."
    # A task that was delivered again has several executions, and each is a row.
    KEY: ClassVar[tuple[str, ...]] = ("trial_id", "task_id", "attempt_no")

    trial_id: str = column("identifier of the trial")
    task_id: int = column("number of the task in the trial")
    attempt_no: int = column("1 for the first start of this task, 2 for the second, ...", least=1)
    phase: str = column(
        "verify, warm_up or measure; unrecorded or repeated: the uninstrumented burst, of which "
        "only some tasks have rows (M19); empty: the task was never offered"
    )
    # An execution that was never offered has no instant in the plan (METHOD M28).
    t0_ns: int | None = column("instant at which it was due", "ns", least=0, most=LATEST_NS)
    t1_ns: int | None = column("just before the submit call", "ns", least=0, most=LATEST_NS)
    t2_ns: int | None = column("submit returned", "ns", least=0, most=LATEST_NS)
    t3_ns: int | None = column(
        "first statement of the task; empty: not started", "ns", least=0, most=LATEST_NS
    )
    t4_ns: int | None = column(
        "last statement of the task; empty: not finished", "ns", least=0, most=LATEST_NS
    )
    t5_ns: int | None = column(
        "result received by the driver; in a group or a chain, the result of the whole",
        "ns",
        least=0,
        most=LATEST_NS,
    )
    node: int | None = column("number of the node that executed it")
    worker: str = column("process id and thread id of the worker slot, separated by :")
    outcome: str = column(
        "ok, raised, cancelled by a signal or an event loop, unfinished or unstarted"
    )
    answer: int | None = column("checksum of the task's answer")


@dataclass(frozen=True, slots=True)
class SubmitRow:
    """One submit call, from the driver's journal."""

    ABOUT: ClassVar[str] = "One submit call, from the driver's journal."
    KEY: ClassVar[tuple[str, ...]] = ("trial_id", "task_id")

    trial_id: str = column("identifier of the trial")
    task_id: int = column("number of the task in the trial")
    phase: str = column("verify, warm_up, measure, unrecorded or repeated")
    t0_ns: int = column("instant at which it was due", "ns", least=0, most=LATEST_NS)
    t1_ns: int | None = column("just before the submit call", "ns", least=0, most=LATEST_NS)
    t2_ns: int | None = column("submit returned", "ns", least=0, most=LATEST_NS)
    ack: str = column("result of the submit call: ok, error or unknown")


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One reading of a counter outside the backend."""

    ABOUT: ClassVar[str] = "One reading of a counter outside the backend."
    KEY: ClassVar[tuple[str, ...]] = ("trial_id", "t_ns", "source", "metric")

    trial_id: str = column("identifier of the trial")
    t_ns: int = column("instant of the reading", "ns", most=LATEST_NS)
    source: str = column(
        "host, driver, services, workers, ledger, container:NAME, node:NUMBER for the clock and "
        "the network of a node on another machine, or the name of a server for its own statistics, "
        "from which the sampler's requests are subtracted"
    )
    metric: str = column("name of the counter")
    value: float = column("value of the counter")
    unit: str = column("unit of the value")


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """The outcome of one task of the window."""

    ABOUT: ClassVar[str] = "The outcome of one task of the window."
    KEY: ClassVar[tuple[str, ...]] = ("trial_id", "task_id")

    trial_id: str = column("identifier of the trial")
    task_id: int = column("number of the task in the trial")
    outcome: str = column("outcome of the task, a class of METHOD M28")
    starts: int = column("number of starts", least=0)
    completions: int = column("number of completions", least=0)
    # It divides the tasks that did not finish, and never replaces a record (METHOD M29).
    state: str = column(
        "state that the system reported after the drain of a trial with a fault: queued, running, "
        "finished, failed, missing or unknown; empty: not read",
        since="2.1",
    )
    hit: int | None = column(
        "hit that interrupted the task, or that its outcome is attributed to; empty: none",
        since="2.1",
        least=0,
    )
    redelivery_ns: int | None = column(
        "time from the hit that interrupted the task to its next start; empty: none",
        "ns",
        since="2.1",
        least=0,
        most=LATEST_NS,
    )
    taken_over_by: str = column("node and process of that start; empty: none", since="2.1")


@dataclass(frozen=True, slots=True)
class FiringRow:
    """One due instant of a job, one row per firing."""

    ABOUT: ClassVar[str] = "One due instant of a job, one row per firing."
    # With the start, because an occurrence that fired twice has two rows.
    KEY: ClassVar[tuple[str, ...]] = ("trial_id", "job", "k", "started_ns")

    trial_id: str = column("identifier of the trial")
    job: int = column("number of the job; its firings are the rows of `task` with this task_id")
    k: int = column("number of the occurrence in the window, from 0", least=0)
    nominal_ns: int = column("due instant, computed from the job's specification only", "ns")
    started_ns: int | None = column(
        "first statement of the firing; empty: missed", "ns", least=0, most=LATEST_NS
    )
    finished_ns: int | None = column(
        "last statement of the firing; empty: not finished", "ns", least=0, most=LATEST_NS
    )
    error_ns: int | None = column("started_ns - nominal_ns; below zero: early", "ns")
    outcome: str = column("fired, early, missed or doubled (METHOD M26)")
    overlaps: int = column("1 if the job's previous firing was still running", least=0, most=1)
