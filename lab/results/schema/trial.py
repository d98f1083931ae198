"""Declares the table of trials, one row per attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lab.core.cell import Cell
from lab.core.column import LATEST_NS, column
from lab.results.schema.machines import MachineColumns


@dataclass(frozen=True)
class AttemptKey:
    """The first columns of a trial: what identifies an attempt, and its place in the plan."""

    trial_id: str = column("identifier of the trial, a hash of its specification")
    attempt: int = column("number of the attempt, from 1; invalid trials are rerun", least=1)
    campaign_id: str = column("identifier of the campaign")
    block: int = column("number of the block; each block runs every configuration once", least=0)
    position: int = column("position in the random order of the block", least=0)


# Without slots, because Python refuses a class of several bases that have some. The columns of the
# last base come first.
@dataclass(frozen=True)
class TrialRow(MachineColumns, Cell, AttemptKey):
    """One attempt at a trial, with the columns of its cell."""

    ABOUT: ClassVar[str] = "One attempt at a trial; the trial is the unit of statistics."
    # Every attempt stays in the tables, also one that was repeated (METHOD M23).
    KEY: ClassVar[tuple[str, ...]] = ("trial_id", "attempt")

    backend: str = column("name of the backend")
    family: str = column("family of the backend, which has one colour in figures")
    variant: str = column("name of the variant")
    profile: str = column("default, safe or tuned")
    runs_tasks: int = column(
        "1 if the backend runs tasks; 0: a reference that only records them", least=0, most=1
    )
    reference: str = column("label of the reference that bounds the backend; empty: none (M18)")
    size_unit: str = column(
        "unit of the size on the command line; a calibrated size (`nominal_ns` is not 0) counts "
        "rounds of the workload's loop"
    )
    nominal_ns: int = column(
        "task duration that the size was calibrated for, or of a user's function that runs alone; "
        "0: not calibrated, or uncertain (M17)",
        "ns",
        least=0,
    )
    work_ns: int | None = column(
        "duration of that size at the speed of the CPU before the trial; empty: not calibrated",
        "ns",
        since="2.1",
        least=0,
    )
    workers: int = column("worker slots of all nodes", least=1)
    node_mode: str = column(
        "cpuset, quota, or oversubscribed: the nodes have more CPUs than the machine (M22)"
    )
    placement: str = column("dedicated, or shared if two roles use the same CPU")
    driver_cpus: str = column("CPU numbers of the driver")
    service_cpus: str = column("CPU numbers of the servers; empty: no server")
    node_cpus: str = column("CPU numbers of each node, nodes separated by |")
    seed: int = column("random seed of arrivals and arguments, equal within a block")
    # Shows that all systems of a block had the same tasks and instants (METHOD M4).
    plan_hash: str = column(
        "sha256 (16 digits) of due instants and arguments, equal within a block"
    )
    # A new one for each trial, because trials are independent (METHOD M2).
    hash_seed: int | None = column("PYTHONHASHSEED of the trial's processes", least=0)
    services: str = column("version that each server reports, and the source of its program")
    pass_env: str = column(
        "names of the user's variables that were passed to driver and workers (no values, which "
        "may be secret); empty: none",
    )
    images: str = column("images of the cluster's containers, with ids; empty: no containers")
    commands: str = column(
        "commands that prepare and start one node, and the scheduler of jobs, separated by ;, "
        "without folders; empty: the workers are in the driver or its children",
        since="2.2",
    )
    settings: str = column("every effective setting of the backend, JSON")
    fingerprint_id: str = column("fingerprint of the machine and software")
    started_utc: str = column("start of the trial, ISO 8601")
    trial_ns: int = column(
        "duration of the trial, with start and stop of the cluster", "ns", least=0, most=LATEST_NS
    )
    boot_ns: int | None = column(
        "time from the start of the cluster until every worker has answered a task correctly",
        "ns",
        least=0,
        most=LATEST_NS,
    )
    # Every trial has fresh workers, so each reports the instants of a cold start (METHOD M25).
    t_exec_ns: int | None = column(
        "start of the first worker command; in containers, of the command that starts the nodes; "
        "empty if the workers are in the driver or its children",
        "ns",
        least=0,
        most=LATEST_NS,
    )
    start_call_ns: int | None = column(
        "duration of the start of the client or pool", "ns", least=0, most=LATEST_NS
    )
    t_first_offer_ns: int | None = column(
        "submit call of the first finished task", "ns", least=0, most=LATEST_NS
    )
    t_first_start_ns: int | None = column(
        "first statement of that task", "ns", least=0, most=LATEST_NS
    )
    t_first_import_ns: int | None = column(
        "end of the import of the task's code in its process or in the parent of a fork",
        "ns",
        least=0,
        most=LATEST_NS,
    )
    t_begin_ns: int | None = column("start of the window", "ns", least=0, most=LATEST_NS)
    t_end_ns: int | None = column(
        "end of the window: last task finished, or end of the drain",
        "ns",
        least=0,
        most=LATEST_NS,
    )
    answer_check: str = column(
        "reference of the answer check: known, inline call (of the warm-up only, if the check "
        "takes long), or not checked, with the reason",
    )
    n_sent: int = column("tasks offered to the backend", "tasks", least=0)
    n_done: int = column("tasks finished at least once", "tasks", least=0)
    # They count in every percentile, as longer than their time to the end (METHOD M6).
    n_censored: int = column(
        "tasks offered but not finished at the end of the drain", "tasks", least=0
    )
    n_lost: int = column(
        "tasks acknowledged but not started; with a fault: not finished either, nor reported (M29)",
        "tasks",
        least=0,
    )
    n_partial: int = column("tasks started but not finished", "tasks", least=0)
    n_failed: int = column("tasks that raised an exception", "tasks", least=0)
    n_duplicated: int = column("tasks finished more than once", "tasks", least=0)
    n_wrong_answer: int = column("tasks finished with a wrong answer", "tasks", least=0)
    n_unexpected: int = column("tasks executed but not offered", "tasks", least=0)
    n_lost_reported: int = column(
        "tasks not finished that the system reports as failed (M29)",
        "tasks",
        since="2.1",
        fill=0,
        least=0,
    )
    n_stuck: int = column(
        "tasks not finished that the system reports as running (M29)",
        "tasks",
        since="2.1",
        fill=0,
        least=0,
    )
    n_re_executed: int = column(
        "tasks started more than once and finished once, in a trial with a fault (M29)",
        "tasks",
        since="2.1",
        fill=0,
        least=0,
    )
    n_failed_though_done: int = column(
        "tasks finished that the system reports as failed (M29)",
        "tasks",
        since="2.1",
        fill=0,
        least=0,
    )
    n_unknown: int = column(
        "tasks not finished when the drain ended, before they were lost for certain (M29)",
        "tasks",
        since="2.1",
        fill=0,
        least=0,
    )
    n_negative: int = column(
        "negative durations, between two machines beyond their bound; any one makes the trial "
        "invalid",
        least=0,
    )
    worker_processes: int | None = column(
        "processes that executed tasks of the window", "processes", least=0
    )
    # Differences of counters have no lower limit: what they give is recorded and not refused.
    cpu_driver_ns: int | None = column("CPU time of the driver process in the window", "ns")
    cpu_services_ns: int | None = column("CPU time of the servers in the window", "ns")
    cpu_workers_ns: int | None = column("CPU time of the worker processes in the window", "ns")
    broker_commands: int | None = column(
        "commands of the servers in the window: Redis commands; RabbitMQ messages published, "
        "delivered and acknowledged; PostgreSQL transactions that write",
    )
    broker_bytes: int | None = column(
        "bytes received and sent by the servers in the window, by their own statistics; empty if "
        "a server has no such statistic",
        "bytes",
    )
    instrumentation_ns: float | None = column(
        "instrumentation cost per task: offering and recording, measured before the block, and "
        "the check of the answer (M19)",
        "ns",
    )
    n_hits: int = column("hits of the fault", since="2.1", fill=0, least=0)
    n_missed_hits: int = column("hits without a target", since="2.1", fill=0, least=0)
    stopped_consuming: int | None = column(
        "1 if the system accepted tasks after the last hit and started none (M29); empty: no fault "
        "or no live worker",
        since="2.1",
        least=0,
        most=1,
    )
    ack_means: str = column(
        "place of a task whose submit call returned: in-memory, socket, accepted, confirmed or "
        "on-disk",
        since="2.1",
    )
    horizon_s: float | None = column(
        "redelivery horizon of a task that waits; empty: no fault, never, or no limit (M27)",
        "s",
        since="2.1",
        least=0,
    )
    started_horizon_s: float | None = column(
        "redelivery horizon of a task that has started; empty: no fault, never, or no limit",
        "s",
        since="2.1",
        least=0,
    )
    persistence: str = column(
        "persistence of Redis that the fault asks for; empty: that of the lab's servers",
        since="2.1",
    )
    restart_s: float | None = column(
        "seconds until the lab restarts a part that ended; empty: no fault, or never",
        "s",
        since="2.1",
        least=0,
    )
    steal: float | None = column(
        "share of the time of the trial's CPUs that the hypervisor gave to others"
    )
    other_cpu: float | None = column(
        "share of the time of the trial's CPUs that other processes used"
    )
    cpu_taken: float | None = column(
        "largest share of a role's CPUs that other processes took while the role waited (M23)",
        since="2.1",
    )
    cpu_wait: float | None = column(
        "time that threads of the trial waited for a CPU, divided by the time of the trial's CPUs; "
        "empty if most of it was that of threads that ended",
        since="2.1",
    )
    calibration_ns: int | None = column(
        "time of a fixed loop before the trial, the shortest of thirty",
        "ns",
        since="2.1",
        least=0,
    )
    # It flags nothing: the speed of a CPU is the machine, and no disturbance (METHOD M23).
    calibration_drift: float | None = column(
        "|after / before - 1| of a fixed loop, timed before and after the trial"
    )
    # Above 1 %, a row of `quota` nodes has no latency (METHOD M22).
    throttle_ratio: float | None = column("share of quota periods that throttled a node (M22)")
    # It flags nothing, because the queues of saturated workers raise it (METHOD M23).
    pressure_cpu: float | None = column(
        "share of the window in which a runnable process waited for a CPU (PSI)"
    )
    lag_p99_ns: int | None = column("99th percentile of t1 - t0; empty unless paced", "ns")
    # The share of their time that drivers spend in submit calls is the rate divided by it (M7).
    ceiling_per_s: float | None = column(
        "rate at which the submit calls would take all the time of all drivers; empty unless paced",
        "tasks/s",
        since="2.3",
        least=0,
    )
    status: str = column("ok, failed, timeout, skipped or interrupted")
    # A failed trial is a row with its reason, and not a missing row (METHOD M35).
    reason: str = column(
        "reason for a status other than ok, why a fault hit nothing, or which records are missing "
        "after one"
    )
    flag: str = column("ok, noisy, disturbed or invalid (METHOD M23)")
    flag_reasons: str = column("reasons for the flag, separated by ;")
