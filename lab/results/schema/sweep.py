"""What is told of trials that differ in one thing: sizes, workers, cores or nodes."""

from __future__ import annotations

from dataclasses import dataclass

from lab.results.schema.column import column


@dataclass(frozen=True, slots=True)
class TrendRow:
    """One number over trials of several cells. Key: analysis_id, metric, line, at."""

    analysis_id: str = column("campaign_id")
    metric: str = column(
        "marginal_s_per_task, fixed_s, metg_50_s (M17); speed_up, speed_up_over_inline, "
        "scaling_efficiency, serial_share (M20); law_rate_per_s, contention, coherency, peak (M21)"
    )
    label: str = column("backend[variant]@profile")
    workload: str = column("task function")
    size: int | None = column("size of a task; empty where it differs", least=0)
    n_planned: int | None = column("tasks of a burst; empty where they differ", "tasks", least=0)
    provider: str = column("what hosts the cluster")
    nodes: int | None = column("nodes of the cluster; empty where they differ", least=1)
    cores_per_node: int | None = column("CPUs of each node; empty where they differ", least=1)
    workers_per_node: int | None = column(
        "worker slots of each node; empty where they differ", least=1
    )
    quota_cpus: float = column("CPU time each node may use; 0: all of its cores", "CPUs", least=0)
    along: str = column("what differs: tasks, size, workers, cores or nodes")
    held: str = column("what stays fixed meanwhile, in words; strong or weak scaling")
    at: float | None = column("of workers, cores or nodes how many; empty: a number of the line")
    beyond: str = column(
        "quota with how often it stopped a node, oversubscribed, or more workers than cores: what "
        "the point wants beyond the cores"
    )
    estimate: float | None = column("mean over blocks, or a fit over all trials; empty: refused")
    bound: str = column("< when the value is below what was measured, > when it is above")
    ci_low: float | None = column("lower end of the interval; empty: too few blocks")
    ci_high: float | None = column("upper end of the interval")
    ci_level: float = column("level of the interval", least=0, most=1)
    unit: str = column("unit of the estimate")
    n_blocks: int = column("blocks it was computed from", least=0)
    method: str = column("how it was made and over what base, or why it cannot be told")
