"""One row an attempt at a trial."""

from __future__ import annotations

from dataclasses import dataclass

from lab.results.schema.column import LATEST_NS, column


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One attempt at one trial, the unit of statistics. Key: trial_id, attempt."""

    trial_id: str = column("pure function of the spec's fields")
    attempt: int = column("1, or more when an invalid trial was run again", least=1)
    campaign_id: str = column("which campaign")
    block: int = column("every configuration runs once in each block", least=0)
    position: int = column("place in the seeded random order of the block", least=0)
    label: str = column("backend[variant]@profile")
    backend: str = column("system under test")
    family: str = column("family of systems; decides the colour in figures")
    variant: str = column("documented way to run it")
    profile: str = column("default, safe or tuned")
    executes: int = column("1; 0: it records tasks and runs none, as a ceiling", least=0, most=1)
    ceiling: str = column(
        "label of the reference that bounds it; empty: none does (M18)", since="1.6"
    )
    workload: str = column("task function")
    size: int = column("size of a task in the workload's calibrated unit", least=0)
    size_unit: str = column("that unit")
    nominal_ns: int = column("duration the size was calibrated to; 0: none", "ns", least=0)
    arrival: str = column("how tasks are offered: burst, paced, ..., or as a claim asks")
    rate_hz: float | None = column("offered rate; empty unless paced", "1/s", least=0)
    gaps: str = column("poisson, uniform or bursty; empty unless paced")
    schedule: str = column(
        "how many jobs, and when they are due; or how long nothing is", since="1.1"
    )
    shape: float | None = column(
        "tasks of a group, links of a chain, urgent tasks, or seconds promised before a retry; "
        "empty for other arrivals",
        since="1.3",
        least=0,
    )
    provider: str = column("what hosts the cluster")
    nodes: int = column("nodes of the cluster", least=1)
    cores_per_node: int = column("CPUs of each node", least=1)
    workers_per_node: int = column("worker slots of each node", least=1)
    quota_cpus: float = column(
        "CPU time each node may use; 0: all of its cores", "CPUs", since="1.1", fill=0.0, least=0
    )
    workers: int = column("all worker slots", least=1)
    node_mode: str = column(
        "cpuset, quota, or oversubscribed: more wanted than the cores give (M22)"
    )
    placement: str = column("dedicated, or shared when two roles use one CPU")
    driver_cpus: str = column("CPU numbers of the driver")
    service_cpus: str = column("CPU numbers of the services; empty: no service")
    node_cpus: str = column("CPU numbers of each node, nodes separated by |")
    seed: int = column("seed of arrivals and arguments, equal within a block")
    plan_hash: str = column("sha256 (16 digits) of instants and arguments, equal within a block")
    hash_seed: int | None = column("PYTHONHASHSEED of the trial's processes", least=0)
    services: str = column("what each server says of itself, with where its program came from")
    pass_env: str = column(
        "variables of the user's that driver and workers were given, by name alone: a value may "
        "be a secret; empty: none",
        since="1.10",
    )
    images: str = column("images of the cluster's containers, with ids; empty: no containers")
    settings: str = column("every effective setting of the system, JSON")
    fingerprint_id: str = column("machine and software")
    started_utc: str = column("start of the trial, ISO 8601")
    trial_ns: int = column("whole trial, cluster up to cluster down", "ns", least=0, most=LATEST_NS)
    boot_ns: int | None = column(
        "cluster up until every worker answered a task correctly", "ns", least=0, most=LATEST_NS
    )
    t_exec_ns: int | None = column(
        "start of the first worker command, in containers the order to start their nodes; empty "
        "where workers live in the driver or are its children",
        "ns",
        since="1.5",
        least=0,
        most=LATEST_NS,
    )
    start_call_ns: int | None = column(
        "how long the client or pool took to start", "ns", since="1.5", least=0, most=LATEST_NS
    )
    t_first_offer_ns: int | None = column(
        "submit call of the first task that finished", "ns", since="1.5", least=0, most=LATEST_NS
    )
    t_first_start_ns: int | None = column(
        "first statement of that task", "ns", since="1.5", least=0, most=LATEST_NS
    )
    t_first_import_ns: int | None = column(
        "when its process, or one that it was forked from, had imported the task's code",
        "ns",
        since="1.5",
        least=0,
        most=LATEST_NS,
    )
    t_begin_ns: int | None = column("begin of the window", "ns", least=0, most=LATEST_NS)
    t_end_ns: int | None = column(
        "end of the window: last task finished, or drain over", "ns", least=0, most=LATEST_NS
    )
    answers: str = column(
        "what answers were checked against: known; inline call, of the warm-up alone where a "
        "check takes long; or not checked, and why",
        since="1.3",
    )
    n_planned: int = column("tasks planned for the window", "tasks", least=0)
    n_sent: int = column("tasks offered to the system", "tasks", least=0)
    n_done: int = column("tasks finished at least once", "tasks", least=0)
    n_censored: int = column(
        "tasks offered and unfinished at the end of the drain", "tasks", least=0
    )
    n_lost: int = column("acknowledged, never started", "tasks", least=0)
    n_partial: int = column("started, never finished", "tasks", least=0)
    n_failed: int = column("finished by raising", "tasks", least=0)
    n_duplicated: int = column("finished more than once", "tasks", least=0)
    n_corrupted: int = column("finished with a wrong answer", "tasks", least=0)
    n_phantom: int = column("executed, never offered", "tasks", least=0)
    n_negative: int = column("durations below zero (any makes the trial invalid)", least=0)
    worker_processes: int | None = column(
        "processes that ran tasks of the window", "processes", since="1.6", least=0
    )
    cpu_driver_ns: int | None = column("CPU time of the driver process in the window", "ns")
    cpu_services_ns: int | None = column("CPU time of the services in the window", "ns")
    cpu_workers_ns: int | None = column("CPU time of the worker processes in the window", "ns")
    broker_commands: int | None = column(
        "commands that the servers carried out in the window: Redis commands; messages that "
        "RabbitMQ took, delivered and got acknowledged; PostgreSQL transactions that wrote",
    )
    broker_bytes: int | None = column(
        "bytes that the servers received and sent in the window by their own count; empty where "
        "one keeps none",
        "bytes",
    )
    harness_ns: float | None = column(
        "what a task pays for being offered and recorded, measured before the block, and for the "
        "check of its answer (M19)",
        "ns",
        since="1.6",
    )
    steal: float | None = column("share of CPU time stolen by the hypervisor")
    foreign_cpu: float | None = column("share of CPU time used by processes not ours")
    calibration_drift: float | None = column("|after/before - 1| of a fixed loop around the trial")
    throttle_ratio: float | None = column("share of quota periods that stopped a node (M22)")
    pressure_cpu: float | None = column("share of the window with a runnable process waiting (PSI)")
    lag_p99_ns: int | None = column("99th percentile of t1 - t0; empty unless paced", "ns")
    status: str = column("ok, failed, timeout, skipped or interrupted")
    reason: str = column("one sentence when the status is not ok")
    flag: str = column("ok, noisy or invalid (METHOD M23)")
    flag_reasons: str = column("why, separated by ;")
