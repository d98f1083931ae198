"""Writes and reads trial specs as JSON: the plan of a run, and what a driver is given."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lab.model import ARRIVALS, Topology, TrialSpec


@dataclass(frozen=True, slots=True)
class Order:
    """What one driver process is given in ``trial.json``; its setup comes as a worker's does.

    `harness_ns` is what the lab's record of a task costs, None where that was not measured.
    """

    spec: TrialSpec
    harness_ns: float | None = None


def spec_to_json(spec: TrialSpec) -> dict[str, Any]:
    """Return the spec as JSON-able fields; the arrival says its kind."""
    return asdict(spec) | {"arrival": {"kind": spec.arrival.kind, **asdict(spec.arrival)}}


def spec_from_json(fields: dict[str, Any]) -> TrialSpec:
    """Rebuild a spec; the inverse of `spec_to_json`."""
    arrival = dict(fields["arrival"])
    kind = ARRIVALS[arrival.pop("kind")]
    changed = {"arrival": kind(**arrival), "topology": Topology(**fields["topology"])}
    return TrialSpec(**{**fields, **changed, "pass_env": tuple(fields.get("pass_env", ()))})


def order_to_json(order: Order) -> dict[str, Any]:
    """Return the order as JSON-able fields."""
    return asdict(order) | {"spec": spec_to_json(order.spec)}


def order_from_json(fields: dict[str, Any]) -> Order:
    """Rebuild an order; the inverse of `order_to_json`."""
    return Order(spec_from_json(fields["spec"]), fields["harness_ns"])
