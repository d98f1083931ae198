"""The public door for other packages: all that an adapter of a backend imports from the lab."""

from __future__ import annotations

from lab.core.backend import DEFAULT, Backend, Monitor, setup_from_environment
from lab.core.model import (
    Capability,
    Carrier,
    Command,
    Job,
    Profile,
    Service,
    Setup,
    Task,
    Topology,
    Variant,
)
from lab.worker.execution import entry, execute, execute_after, execute_async, joined, stamp

__all__ = [
    "DEFAULT",
    "Backend",
    "Capability",
    "Carrier",
    "Command",
    "Job",
    "Monitor",
    "Profile",
    "Service",
    "Setup",
    "Task",
    "Topology",
    "Variant",
    "entry",
    "execute",
    "execute_after",
    "execute_async",
    "joined",
    "setup_from_environment",
    "stamp",
]
