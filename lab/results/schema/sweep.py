"""Declares the table of trends: numbers over trials that differ in one dimension."""

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
    workload: str = column("name of the workload")
    size: int | None = column(
        "size of a task in the workload's unit; empty: it differs on the line", least=0
    )
    n_planned: int | None = column(
        "tasks of a burst; empty: it differs on the line", "tasks", least=0
    )
    provider: str = column("provider that hosts the cluster")
    nodes: int | None = column("nodes of the cluster; empty: it differs on the line", least=1)
    cores_per_node: int | None = column("CPUs of each node; empty: it differs on the line", least=1)
    workers_per_node: int | None = column(
        "worker slots of each node; empty: it differs on the line", least=1
    )
    quota_cpus: float = column("CPU quota of each node; 0: no quota", "CPUs", least=0)
    x_axis: str = column("dimension that differs: tasks, size, workers, cores or nodes")
    fixed: str = column("dimensions that are fixed, as text, with strong or weak scaling")
    x: float | None = column(
        "workers, cores or nodes of this point; empty: a number of the whole line"
    )
    oversubscription: str = column(
        "demand beyond the cores: quota with the share of throttled periods, oversubscribed, or "
        "more workers than cores; empty: none"
    )
    estimate: float | None = column("mean over blocks, or fit over all trials; empty: refused")
    bound: str = column("< if the true value is below the measured range, > if it is above")
    ci_low: float | None = column("lower end of the confidence interval; empty: too few blocks")
    ci_high: float | None = column("upper end of the confidence interval; empty: too few blocks")
    ci_level: float = column("confidence level of the interval", least=0, most=1)
    unit: str = column("unit of the estimate")
    n_blocks: int = column("blocks that the estimate was computed from", least=0)
    method: str = column("how the estimate was computed, with its base, or why it was refused")
