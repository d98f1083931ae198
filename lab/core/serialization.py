"""Writes and reads trial specs and driver orders as JSON."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from lab.core.arrivals import present_kind
from lab.core.faults import Fault, FaultKind
from lab.core.model import ARRIVALS, Topology, TrialSpec
from lab.core.provider import AgentAddress

Kind = TypeVar("Kind")
LARGEST = 2**63
# The fields that may be negative.
SIGNED = ("step_s",)


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """The contents of a driver's ``trial.json``; its setup is in the environment, as a worker's is.

    instrumentation_ns: instrumentation cost of a task, nanoseconds; None if it was not measured.
    agents: those of nodes on other machines; empty if the ledger is shared memory.
    """

    spec: TrialSpec
    instrumentation_ns: float | None = None
    agents: tuple[AgentAddress, ...] = ()


def spec_to_json(spec: TrialSpec) -> dict[str, Any]:
    """Return a spec as fields for JSON; those of the arrival include its kind."""
    return asdict(spec) | {"arrival": {"kind": spec.arrival.kind, **asdict(spec.arrival)}}


def spec_from_json(fields: dict[str, Any]) -> TrialSpec:
    """Rebuild a spec; the inverse of `spec_to_json`.

    Raises:
        KeyError: A field or a kind of arrival is unknown or missing.
        TypeError: A field has a value of another type.
        ValueError: A number is out of range, or a kind of fault is unknown.
    """
    arrival = dict(fields["arrival"])
    kind = ARRIVALS[present_kind(arrival.pop("kind"))]
    parts = {
        "arrival": checked(kind, arrival),
        "topology": checked(Topology, dict(fields["topology"])),
        "pass_env": _texts(fields.get("pass_env", [])),
        "fault": _fault(fields.get("fault")),
    }
    plain = {name: value for name, value in fields.items() if name not in parts}
    return checked(TrialSpec, plain, **parts)


def checked(kind: type[Kind], fields: Mapping[str, Any], /, **objects: Any) -> Kind:
    """Create a dataclass from JSON fields of the types of its annotations, and from objects.

    Raises:
        KeyError: A field is unknown.
        TypeError: A field is missing, or has a value of another type.
        ValueError: A number is out of range.
    """
    hints = typing.get_type_hints(kind)
    for name, value in fields.items():
        kinds = typing.get_args(hints[name]) or (hints[name],)
        if type(value) not in kinds and not (type(value) is int and float in kinds):
            raise TypeError(f"{name} is a {type(value).__name__}")
        least = -LARGEST if name in SIGNED else 0
        if type(value) in (int, float) and not least <= value < LARGEST:
            raise ValueError(
                f"{name} is {str(value)[:40]}, and must be at least {least} and below 2^63"
            )
    return kind(**fields, **objects)


def _fault(fields: Any) -> Fault | None:
    if fields is None:
        return None
    if not isinstance(fields, dict):
        raise TypeError("fault is not an object")
    others = {name: value for name, value in fields.items() if name != "kind"}
    return checked(Fault, others, kind=FaultKind(fields["kind"]))


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(text, str) for text in values):
        raise TypeError("pass_env is not a list of strings")
    return tuple(values)


def order_to_json(order: TrialRequest) -> dict[str, Any]:
    """Return an order as fields for JSON."""
    return asdict(order) | {"spec": spec_to_json(order.spec)}


def order_from_json(fields: dict[str, Any]) -> TrialRequest:
    """Rebuild an order; the inverse of `order_to_json`."""
    agents = tuple(checked(AgentAddress, agent) for agent in fields["agents"])
    return TrialRequest(spec_from_json(fields["spec"]), fields["instrumentation_ns"], agents)
