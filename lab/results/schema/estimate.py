"""What is told of a number over trials."""

from __future__ import annotations

from dataclasses import dataclass

from lab.results.schema.column import column


@dataclass(frozen=True, slots=True)
class EstimateRow:
    """One number over trials, with its interval. Key: analysis_id, metric, cell columns."""

    analysis_id: str = column("campaign_id, and `without-noisy` for the second headline")
    metric: str = column("name of the number")
    label: str = column("backend[variant]@profile")
    workload: str = column("task function")
    size: int = column("size of a task", least=0)
    arrival: str = column("burst, paced, roundtrip, periodic or idle")
    rate_hz: float | None = column("offered rate; empty unless paced", "1/s", least=0)
    gaps: str = column("poisson, uniform or bursty; empty unless paced")
    schedule: str = column(
        "how many jobs, and when they are due; or how long nothing is", since="1.1"
    )
    shape: float | None = column(
        "of groups, chains, priorities, retries: see `trial`", since="1.3", least=0
    )
    n_planned: int = column(
        "tasks planned for the window; 0: windows differ", "tasks", since="1.7", fill=0, least=0
    )
    provider: str = column("what hosts the cluster")
    nodes: int = column("nodes of the cluster", least=1)
    cores_per_node: int = column("CPUs of each node", least=1)
    workers_per_node: int = column("worker slots of each node", least=1)
    quota_cpus: float = column(
        "CPU time each node may use; 0: all of its cores", "CPUs", since="1.1", fill=0.0, least=0
    )
    estimate: float | None = column("geometric mean over trials")
    bound: str = column("> when any trial's value is a lower bound, < when an upper one")
    ci_low: float | None = column("lower end of the interval; empty: too few trials")
    ci_high: float | None = column("upper end of the interval")
    ci_level: float = column("level of the interval", least=0, most=1)
    unit: str = column("unit of the estimate")
    n_trials: int = column("trials it was computed from", least=0)
    n_noisy: int = column("how many of them are flagged noisy", least=0)
    n_excluded: int = column("trials left out because invalid, failed or refused", least=0)
    method: str = column("how the interval was made, or why there is none")
