"""Defines the cell: the key of every analysis, whose fields are columns of all tables about cells.

A new dimension is one field here. `lab.validation.dimensions` gives it a value in each trial;
groups, comparisons and figures derive their columns from the lists at the end of this module.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from lab.core.column import column


@dataclass(frozen=True)
class Cell:
    """Identifies a cell: all trials of one label, environment, case, topology and fault."""

    label: str = column("backend[variant]@profile")
    environment: str = column(
        "interpreter and package versions of driver and workers; empty: those of the lab",
    )
    workload: str = column("name of the workload")
    size: int = column("size of a task in the workload's unit", least=0)
    arrival: str = column(
        "kind of arrival: burst, paced, rate-probe, load-level, round-trip, periodic, group, "
        "chain, priority, retry, client-crash, monitoring or idle"
    )
    rate_hz: float | None = column("offered rate; empty unless paced", "1/s", least=0)
    interarrival: str = column("gaps between tasks: poisson, uniform or bursty; empty unless paced")
    schedule: str = column("number of jobs and their schedule, or the duration of an idle window")
    arrival_param_name: str = column(
        "meaning of `arrival_param`: tasks_per_group, tasks_per_chain, urgent_tasks or "
        "retry_delay_s; empty for other arrivals",
    )
    arrival_param: float | None = column(
        "parameter of a group, chain, priority or retry arrival; empty for other arrivals",
        least=0,
    )
    n_planned: int = column(
        "tasks planned for the window; 0 in `estimate`: it differs between the trials",
        "tasks",
        least=0,
    )
    provider: str = column("provider that hosts the cluster")
    nodes: int = column("nodes of the cluster", least=1)
    cores_per_node: int = column("CPUs of each node", least=1)
    workers_per_node: int = column("worker slots of each node", least=1)
    quota_cpus: float = column("CPU quota of each node; 0: no quota", "CPUs", least=0)
    fault: str = column("fault that the trial injects; empty: none")


CELL = [field.name for field in fields(Cell)]
"""The columns of a cell."""
ARRIVAL = ["arrival", "rate_hz", "interarrival", "schedule", "arrival_param_name", "arrival_param"]
"""The columns of a cell that describe its arrival, without the number of tasks."""
TOPOLOGY = ["nodes", "cores_per_node", "workers_per_node"]
SITE = [name for name in CELL if name not in (*ARRIVAL, "n_planned")]
"""The columns in which the trials of one search for a capacity agree."""
