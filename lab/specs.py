"""Writes and reads trial specs as JSON: the plan of a run, and what a driver is given."""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, get_type_hints

from lab.model import ARRIVALS, Topology, TrialSpec

Made = TypeVar("Made")


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
    """Rebuild a spec; the inverse of `spec_to_json`.

    Raises:
        KeyError: A field is missing.
        TypeError: A field is of another type, or nobody knows it.
        ValueError: A number is negative, or none.
    """
    arrival = dict(fields["arrival"])
    kind = ARRIVALS[arrival.pop("kind")]
    changed = {
        "arrival": _typed(kind(**arrival)),
        "topology": _typed(Topology(**fields["topology"])),
        "pass_env": tuple(fields.get("pass_env", ())),
    }
    return _typed(TrialSpec(**{**fields, **changed}))


@functools.cache
def _types(made: Hashable) -> dict[str, Any]:
    return get_type_hints(made)


def _typed(made: Made) -> Made:
    """Return what was made from a file, if each plain field is of its type and in its range.

    Raises:
        TypeError: A field is of another type.
        ValueError: A number is negative, or none.
    """
    for name, kind in _types(type(made)).items():  # type: ignore[arg-type]  # a class can be hashed
        value = getattr(made, name)
        allowed = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}.get(kind)
        if allowed and type(value) not in allowed:
            raise TypeError(f"{name} is {value!r}, and not of type {kind.__name__}")
        if kind in {int, float} and not 0 <= value < math.inf:
            raise ValueError(f"{name} is {value!r}, and has to be a number from 0 on")
    return made


def order_to_json(order: Order) -> dict[str, Any]:
    """Return the order as JSON-able fields."""
    return asdict(order) | {"spec": spec_to_json(order.spec)}


def order_from_json(fields: dict[str, Any]) -> Order:
    """Rebuild an order; the inverse of `order_to_json`."""
    return Order(spec_from_json(fields["spec"]), fields["harness_ns"])
