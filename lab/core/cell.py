"""Defines the cell: the key of every analysis, whose fields are columns of all tables about cells.

A new dimension is one field here, with its value in `cell_of_spec`. Groups, keys, comparisons and
figures derive their columns from the lists of this module.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from lab.core import fire_times
from lab.core.arrivals import PARAMETER_NAMES
from lab.core.column import column
from lab.core.model import Arrival, Chain, FanOut, Paced, Priority, Retry, TrialSpec


@dataclass(frozen=True)
class Cell:
    """Identifies a cell: all trials of one label, environment, case, topology and fault."""

    label: str = column("backend[variant]@profile")
    environment: str = column(
        "interpreter and package versions of driver and workers; empty: those of the lab",
    )
    workload: str = column("name of the workload")
    size: int = column(
        "size of a task in the workload's unit, or in rounds of its loop if it is calibrated",
        least=0,
    )
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
    drivers: int = column(
        "processes that offer the tasks, each its share of one plan (METHOD M7)",
        since="2.4",
        fill=1,
        least=1,
    )
    fault: str = column("fault that the trial injects; empty: none")


CELL = [field.name for field in fields(Cell)]
"""The columns of a cell."""
ARRIVAL = ["arrival", "rate_hz", "interarrival", "schedule", "arrival_param_name", "arrival_param"]
"""The columns of the arrival, without the number of tasks."""
TOPOLOGY = ["nodes", "cores_per_node", "workers_per_node"]
SITE = [name for name in CELL if name not in (*ARRIVAL, "n_planned")]
"""The columns in which the trials of one search for a capacity agree."""
PLACE = [name for name in SITE if name not in ("workload", "size")]
"""The columns of a site without its work: a label, and where it runs."""
_NEVER_EMPTY = ("label", "provider", "quota_cpus", "drivers", *TOPOLOGY)
CONDITIONS = [name for name in PLACE if name not in _NEVER_EMPTY]
"""The columns that are empty in an ordinary trial, such as its fault."""


def cell_of_spec(spec: TrialSpec) -> Cell:
    """Return the cell of a trial, before or after it has run."""
    arrival = spec.arrival
    paced = arrival if isinstance(arrival, Paced) else None
    return Cell(
        label=spec.label,
        environment=spec.environment,
        workload=spec.workload,
        size=spec.size,
        arrival=arrival.kind,
        rate_hz=paced.rate_hz if paced else None,
        interarrival=paced.gaps if paced else "",
        schedule=fire_times.describe_schedule(arrival),
        arrival_param_name=PARAMETER_NAMES.get(arrival.kind, ""),
        arrival_param=_parameter(arrival),
        n_planned=arrival.n_tasks,
        provider=spec.provider,
        **asdict(spec.topology),
        fault=spec.fault.text if spec.fault else "",
    )


def _parameter(arrival: Arrival) -> float | None:
    match arrival:
        case FanOut(width=number) | Chain(length=number) | Priority(n_urgent=number):
            return float(number)
        case Retry(delay_s=delay_s):
            return delay_s
    return None
