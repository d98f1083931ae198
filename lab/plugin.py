"""Offers other packages all that an adapter of a backend imports from the lab."""

from __future__ import annotations

from lab.core.asynchronous import AsyncBackend
from lab.core.backend import DEFAULT, Backend, setup_from_environment
from lab.core.faults import FaultKind
from lab.core.in_time import in_time
from lab.core.model import (
    BackendContext,
    Capability,
    Command,
    Job,
    Profile,
    Serializer,
    Service,
    Task,
    Topology,
    Variant,
)
from lab.core.monitor import Monitor
from lab.core.on_demand import on_demand
from lab.core.outcomes import AckMeans, Contract, TaskState
from lab.core.plain_values import plain_values
from lab.worker.execution import entry, execute, execute_after, execute_async, noop_join, stamp

__all__ = [
    "DEFAULT",
    "AckMeans",
    "AsyncBackend",
    "Backend",
    "BackendContext",
    "Capability",
    "Command",
    "Contract",
    "FaultKind",
    "Job",
    "Monitor",
    "Profile",
    "Serializer",
    "Service",
    "Task",
    "TaskState",
    "Topology",
    "Variant",
    "entry",
    "execute",
    "execute_after",
    "execute_async",
    "in_time",
    "noop_join",
    "on_demand",
    "plain_values",
    "setup_from_environment",
    "stamp",
]
