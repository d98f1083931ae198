"""Declares the table of estimates over trials."""

from __future__ import annotations

from dataclasses import dataclass

from lab.results.schema.column import column


@dataclass(frozen=True, slots=True)
class EstimateRow:
    """One estimate over trials, with its interval. Key: analysis_id, metric, cell columns."""

    analysis_id: str = column("campaign_id; `campaign_id/without-noisy`: `ok` trials only")
    metric: str = column("name of the metric")
    label: str = column("backend[variant]@profile")
    workload: str = column("name of the workload")
    size: int = column("size of a task in the workload's unit", least=0)
    arrival: str = column("kind of arrival, as in `trial`")
    rate_hz: float | None = column("offered rate; empty unless paced", "1/s", least=0)
    interarrival: str = column("gaps between tasks: poisson, uniform or bursty; empty unless paced")
    schedule: str = column(
        "number of jobs and their schedule, or the duration of an idle window", since="1.1"
    )
    arrival_param: float | None = column(
        "parameter of a group, chain, priority or retry arrival, as in `trial`",
        since="1.3",
        least=0,
    )
    n_planned: int = column(
        "tasks planned for the window; 0: it differs between trials",
        "tasks",
        since="1.7",
        fill=0,
        least=0,
    )
    provider: str = column("provider that hosts the cluster")
    nodes: int = column("nodes of the cluster", least=1)
    cores_per_node: int = column("CPUs of each node", least=1)
    workers_per_node: int = column("worker slots of each node", least=1)
    quota_cpus: float = column(
        "CPU quota of each node; 0: no quota", "CPUs", since="1.1", fill=0.0, least=0
    )
    estimate: float | None = column("geometric mean over trials; empty: refused")
    bound: str = column("> if any trial's value is a lower bound, < if any is an upper bound")
    ci_low: float | None = column("lower end of the confidence interval; empty: too few trials")
    ci_high: float | None = column("upper end of the confidence interval; empty: too few trials")
    ci_level: float = column("confidence level of the interval", least=0, most=1)
    unit: str = column("unit of the estimate")
    n_trials: int = column("trials that the estimate was computed from", least=0)
    n_noisy: int = column("number of these trials with the flag noisy", least=0)
    n_excluded: int = column("excluded trials: invalid, failed or refused", least=0)
    method: str = column("how the interval was computed, or why there is none")
