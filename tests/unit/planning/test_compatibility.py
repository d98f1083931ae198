"""Tests why a trial cannot run: user's functions; other reasons are tested by plans."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from lab.core.faults import FaultKind, of_kind
from lab.core.model import (
    Arrival,
    Burst,
    Paced,
    RoundTrip,
    Serializer,
    Service,
    Topology,
    TrialSpec,
)
from lab.core.preflight import FUNCTION, PreflightResult
from lab.planning import registry
from lab.planning.compatibility import unsupported_reason
from tests.factories.trials import spec_of

HERE = "tests.factories.user_tasks"
OFFERS = frozenset[Any]()


def spec_of_task(label: str, task: str) -> TrialSpec:
    """Return a small spec of a function of `user_tasks`."""
    return spec_of(label, f"{HERE}:{task}", arrival=Burst(6), warmup_tasks=0)


def test_a_backend_that_cannot_serialize_the_function_has_a_reason() -> None:
    """The reason has the function and the error; the label of the row is the backend."""
    refusals = ((Serializer.PICKLE.value, FUNCTION, "pickle cannot serialize its function: no"),)
    result = PreflightResult(1, 2, is_coroutine=False, unchecked="", refusals=refusals)
    why = unsupported_reason(spec_of_task("process-pool", "doubled[1]"), OFFERS, result)
    error = "pickle cannot serialize its function: no"
    assert why == f"The system cannot take {HERE}:doubled[1]: {error}."
    assert unsupported_reason(spec_of_task("thread-pool", "doubled[1]"), OFFERS, result) is None
    assert unsupported_reason(spec_of_task("joblib", "doubled[1]"), OFFERS, result) is None


def test_a_message_with_the_name_of_a_function_needs_only_its_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A backend that sends names takes a function that its serializer refuses, and no argument."""
    backend = registry.select("process-pool").backend
    by_name = [replace(variant, sends_name=True) for variant in backend.variants]
    monkeypatch.setattr(backend, "variants", by_name)
    spec = spec_of_task("process-pool", "doubled[1]")
    for part, is_taken in ((FUNCTION, True), ("arguments", False), ("answer", False)):
        refusals = ((Serializer.PICKLE.value, part, "refused"),)
        result = PreflightResult(1, 2, is_coroutine=False, unchecked="", refusals=refusals)
        assert (unsupported_reason(spec, OFFERS, result) is None) == is_taken


def test_a_coroutine_function_runs_on_backends_that_await() -> None:
    """The lab skips other backends, and the reason names the lab."""
    result = PreflightResult(1, 2, is_coroutine=True, unchecked="")
    for label in ("asyncio", "rq", "django-rq", "dask[distributed]"):
        assert (
            unsupported_reason(spec_of_task(label, "later[4]"), frozenset(Service), result) is None
        )
    for label in ("thread-pool", "celery", "dask[threads]"):
        why = unsupported_reason(spec_of_task(label, "later[4]"), frozenset(Service), result)
        assert why is not None
        assert "is a coroutine function: the lab runs those on backends that await them" in why


@pytest.mark.parametrize(
    ("environment", "is_too_old"),
    [("3.13t", True), ("3.14", False), ("3.14t", False), ("3.15", False), ("3.9", True)],
)
def test_a_system_of_a_newer_python_is_skipped(environment: str, is_too_old: bool) -> None:
    """The reason has the version, and the option that selects it."""
    spec = spec_of("interpreter-pool", environment=environment)
    why = "The system needs Python 3.14 or newer. Add --python 3.14."
    assert unsupported_reason(spec, OFFERS) == (why if is_too_old else None)


def test_the_interpreter_of_the_lab_counts_without_an_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lab on Python 3.14 needs no option."""
    for version, text in (((3, 13, 9), "3.14"), ((3, 14, 0), "")):
        monkeypatch.setattr(sys, "version_info", version)
        assert registry.needed_python(registry.backend("interpreter-pool")) == text
        assert registry.needed_python(registry.backend("thread-pool")) == ""


def test_machines_that_share_no_folder_cannot_run_a_system_with_a_file() -> None:
    """A system with a server can, and one whose workers are in the driver."""

    def reason(label: str) -> str | None:
        spec = spec_of(label, provider="swarm")
        return unsupported_reason(spec, frozenset(Service), shares_files=False)

    why = "The system keeps its tasks in a file, which provider swarm cannot share."
    assert reason("huey[process+sqlite]") == reason("django-q[orm+sqlite]") == why
    assert reason("rq") is reason("thread-pool") is None


def test_the_loss_of_a_host_needs_workers_on_another_one() -> None:
    """The reason has the option."""

    def reason(label: str, nodes: int) -> str | None:
        fault = of_kind(FaultKind.HOST_LOSS)
        spec = spec_of(label, topology=Topology(nodes, 1, 1), provider="swarm", fault=fault)
        return unsupported_reason(spec, frozenset(Service))

    assert reason("celery", 1) == "The fault needs workers on two hosts: use --nodes 2."
    assert reason("celery", 2) is None
    why = "The system executes tasks in the driver: there is no worker for the fault."
    assert reason("thread-pool", 1) == why


@pytest.mark.parametrize(
    ("label", "arrival", "reason"),
    [
        ("celery[prefork]", Burst(9), None),
        ("celery[prefork]", Paced(9, 10.0), None),
        ("celery[prefork+results]", RoundTrip(9), "not arrival round-trip"),
        ("thread-pool", Burst(9), "two drivers would be two systems"),
    ],
)
def test_several_drivers_are_for_tasks_that_a_driver_only_submits(
    label: str, arrival: Arrival, reason: str | None
) -> None:
    """Other systems and arrivals are skipped, each with its reason; with one driver, they run."""
    spec = spec_of(label, arrival=arrival, topology=Topology(1, 1, 1, drivers=2))
    why = unsupported_reason(spec, frozenset(Service))
    assert (reason or "") in (why or "")
    assert (why is None) is (reason is None)
    assert unsupported_reason(replace(spec, topology=Topology(1, 1, 1)), frozenset(Service)) is None


def test_a_fault_needs_one_driver() -> None:
    """The first driver alone follows what becomes of each task."""
    spec = spec_of("celery[prefork]", topology=Topology(1, 1, 1, drivers=2))
    fault = of_kind(FaultKind.NONE)
    reason = unsupported_reason(replace(spec, fault=fault), frozenset(Service))
    assert reason == "A fault needs one driver, whose tasks it follows."


@pytest.mark.parametrize(("provider", "is_on_host"), [("local", True), ("swarm", False)])
def test_a_server_that_a_provider_lacks_is_one_of_containers(
    provider: str, *, is_on_host: bool
) -> None:
    """The reason has the option that runs it; another kind of machine has no such option."""
    spec = spec_of("celery[prefork+rabbitmq]", provider=provider)
    why = str(unsupported_reason(spec, OFFERS, is_on_host=is_on_host))
    assert why.startswith(f"The system needs rabbitmq, which provider {provider} lacks. ")
    assert ("Add --provider compose" in why) == is_on_host
