"""Tests the fault of a trial: its text, its place in the id of a trial, and its form as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lab.core.faults import Fault, FaultKind, Persistence, Role, Target, of_kind
from lab.core.serialization import spec_from_json, spec_to_json
from tests.factories.trials import spec_of

PLAIN = spec_of("inline")


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (of_kind(FaultKind.NONE), "none"),
        (of_kind(FaultKind.WORKER_KILL, hits=20), "worker-kill"),
        (of_kind(FaultKind.NETWORK_CUT), "network-cut"),
        (replace(of_kind(FaultKind.NETWORK_CUT), heal_s=60.0), "network-cut:60s"),
        (replace(of_kind(FaultKind.WORKER_TERM), grace_s=2.5), "worker-term:grace-2.5s"),
        (Fault(FaultKind.WORKER_KILL, restart_s=None), "worker-kill:no-restart"),
        (Fault(FaultKind.WORKER_KILL, restart_s=5.0), "worker-kill:restart-5s"),
        (of_kind(FaultKind.HOST_LOSS), "host-loss"),
        (of_kind(FaultKind.CLOCK_STEP), "clock-step"),
        (replace(of_kind(FaultKind.CLOCK_STEP), step_s=-60.0), "clock-step:-60s"),
        (
            Fault(FaultKind.BROKER_KILL, persistence=Persistence.AOF_ALWAYS),
            "broker-kill:aof-always",
        ),
    ],
)
def test_text_has_the_factors_that_are_not_the_usual_ones(fault: Fault, text: str) -> None:
    """The number of hits is not part of it: more hits are more data, not another case."""
    assert fault.text == text


def test_a_fault_changes_the_id_of_a_trial() -> None:
    """Each factor does, except a factor at its default, which newer versions may add."""
    kill = Fault(FaultKind.WORKER_KILL)
    specs = [
        PLAIN,
        replace(PLAIN, fault=kill),
        replace(PLAIN, fault=replace(kill, hits=5)),
        replace(PLAIN, fault=replace(kill, restart_s=None)),
        replace(PLAIN, fault=Fault(FaultKind.NONE)),
    ]
    assert len({spec.id for spec in specs}) == len(specs)
    fixed = replace(PLAIN, size=0, nominal_ns=0, fault=kill)
    assert fixed.id == "8ec93a05a498d009"


@pytest.mark.parametrize(
    "fault",
    [
        None,
        Fault(FaultKind.BROKER_KILL, 5, restart_s=None),
        Fault(FaultKind.CLOCK_STEP, step_s=-3600.0),
    ],
)
def test_a_spec_with_a_fault_is_read_as_it_was_written(fault: Fault | None) -> None:
    """A plan in a file keeps the fault of each trial, with its types."""
    spec = replace(PLAIN, fault=fault)
    read = spec_from_json(json.loads(json.dumps(spec_to_json(spec))))
    assert read == spec
    assert fault is None or isinstance(getattr(read.fault, "kind", None), FaultKind)


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ({"kind": "earthquake"}, ValueError),
        ({"kind": "worker-kill", "hits": "many"}, TypeError),
        ({"kind": "worker-kill", "hits": -1}, ValueError),
        ({"kind": "worker-kill", "colour": "red"}, KeyError),
        ({"hits": 1}, KeyError),
        (["worker-kill"], TypeError),
    ],
)
def test_a_damaged_fault_is_refused(damage: object, error: type[Exception]) -> None:
    """The readers of plans turn each of these errors into a sentence."""
    with pytest.raises(error):
        spec_from_json(spec_to_json(PLAIN) | {"fault": damage})


def test_a_target_is_named_by_part_and_process() -> None:
    """The text is in the table of hits."""
    assert str(Target(Role.CHILD, "node0-0", 17)) == "node0-0 pid 17"
    assert str(Target(Role.BROKER, "redis", None)) == "redis"
