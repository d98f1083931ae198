"""The contract of a backend, held by every variant in the registry through a real cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest

from lab.core.backend import capabilities, services_of
from lab.core.model import (
    Arrival,
    Burst,
    Capability,
    Chained,
    FanOut,
    RoundTrip,
    Topology,
    TrialSpec,
)
from lab.host import processes
from lab.planning import registry
from lab.providers.local import LocalCluster
from tests.contract.exactly_once import PRESENT_AGAIN, assert_exactly_once, may_raise
from tests.contract.stopping import held
from tests.factories.trials import run, spec_of
from tests.factories.user_tasks import WAIT_NS


def slow_where_it_is(label: str, *, alone: bool = False) -> Any:
    """Mark a label whose cluster takes seconds to come up, and a backend's further variants."""
    chosen = registry.select(label)
    is_first = chosen.variant == chosen.backend.variants[0].name
    is_slow = registry.has_own_workers(chosen) or not is_first
    return pytest.param(label, marks=[pytest.mark.slow] * is_slow + [pytest.mark.alone] * alone)


LABELS = [
    f"{name}[{variant.name}]"
    for name, backend in registry.backends().items()
    for variant in backend.variants
    # The others need a server that runs in containers only: see test_compose.
    if set(services_of(backend, variant.name)) <= LocalCluster.offers
]


def promised(label: str) -> frozenset[Capability]:
    """Return what a label's variant promises."""
    chosen = registry.select(label)
    return capabilities(chosen.backend, chosen.variant)


# The others run what is scheduled and nothing else: see test_appointments.
TAKERS = [v for v in LABELS if promised(v) & {Capability.SUBMIT, Capability.BATCH}]
# It starts an interpreter for each task, and a thousand use all of both cores.
BUSY = "rq[spawn-worker]"
# What presents again after 60 s what has not ended must have ended by then.
ALONE = {BUSY, *PRESENT_AGAIN}
VARIANTS = [slow_where_it_is(label, alone=label in ALONE) for label in TAKERS]
# Each profile with the first variant that it is for.
FIRST_WITH = {
    (name, profile.name): f"{name}[{variant.name}]@{profile.name}"
    for name, backend in registry.backends().items()
    for variant in reversed(backend.variants)
    for profile in registry.profiles_of(backend, variant.name)[1:]
    if f"{name}[{variant.name}]" in LABELS
}
PROFILES = [slow_where_it_is(label) for label in FIRST_WITH.values()]


def widest(label: str) -> Topology:
    """Return two workers on two CPUs, or one where there is no more."""
    return Topology(1, 2, 2) if Capability.PARALLEL in promised(label) else Topology(1, 1, 1)


@pytest.mark.parametrize("label", VARIANTS)
def test_a_thousand_tasks_of_every_kind_run_exactly_once(
    label: str, tmp_path: Path, misbehaving: dict[str, str], temporary: Path
) -> None:
    """Each answers rightly or, one in a hundred, raises: that is told, and costs no other task.

    Where batches are all that a system takes, an exception may cost the batch: see below.
    """
    raises = may_raise(label)
    spec = spec_of(
        label,
        misbehaving["MIXED"],
        Burst(1_000),
        widest(label),
        size=int(raises),
        deadline_s=480.0,
    )
    made = run(tmp_path, spec)
    assert_exactly_once(made, raises=raises)
    assert left_behind(made.row.trial_id) == []
    assert list(temporary.iterdir()) == []


def left_behind(trial_id: str) -> list[psutil.Process]:
    """Return the processes of a trial that still run."""
    return processes.labelled(lambda env: env.get(processes.TRIAL, "").startswith(trial_id))


AWAITING = {Capability.COROUTINES, Capability.AWAITS}
COROUTINE: dict[str, Any] = {"is_coroutine": True, "answer": 4, "warmup_tasks": 2}


def coroutine_spec(label: str, arrival: Arrival, **changes: Any) -> TrialSpec:
    """Make a small spec of a user's coroutine function."""
    return spec_of(
        label, "tests.factories.user_tasks:waits[4]", arrival, **{**COROUTINE, **changes}
    )


@pytest.mark.parametrize("label", [slow_where_it_is(v) for v in TAKERS if AWAITING & promised(v)])
def test_a_coroutine_function_is_awaited_and_gives_its_answer(label: str, tmp_path: Path) -> None:
    """Its task ends when it has waited, and not when it has been called."""
    made = run(tmp_path, coroutine_spec(label, Burst(20), topology=widest(label)))
    assert (made.row.status, made.row.reason, made.row.n_done) == ("ok", "", 20)
    assert made.row.answers == "inline call"
    window = made.tables["task"].query("phase == 'measure'")
    assert (window.t4_ns - window.t3_ns >= WAIT_NS).all()


@pytest.mark.parametrize("arrival", [Chained(6, length=3), FanOut(6, width=3), RoundTrip(6)])
@pytest.mark.parametrize("label", ["rq[simple-worker]", "dask[distributed]"])
@pytest.mark.slow
def test_coroutine_functions_are_awaited_however_they_are_offered(
    label: str, arrival: Arrival, tmp_path: Path
) -> None:
    """In chains, groups and round trips as well."""
    row = run(tmp_path, coroutine_spec(label, arrival)).row
    assert (row.status, row.reason, row.n_done, row.answers) == ("ok", "", 6, "inline call")


@pytest.mark.parametrize("label", PROFILES)
def test_every_profile_runs(label: str, tmp_path: Path) -> None:
    """A profile's settings are accepted by the system, and each says why it is set."""
    chosen = registry.select(label)
    fitting = registry.profiles_of(chosen.backend, chosen.variant)
    profile = next(p for p in fitting if p.name == chosen.profile)
    assert profile.settings
    assert len(profile.why) > 40
    assert run(tmp_path, spec_of(label, topology=widest(label))).row.status == "ok"


@pytest.mark.parametrize(
    "label", [slow_where_it_is(v) for v in LABELS if Capability.RESULT in promised(v)]
)
def test_a_round_trip_sees_each_result_after_the_task(label: str, tmp_path: Path) -> None:
    """The system's own result call returns, once for each task and not before its end."""
    made = run(tmp_path, spec_of(label, arrival=RoundTrip(20)))
    assert (made.row.status, made.row.reason) == ("ok", "")
    window = made.tables["task"].query("phase == 'measure'")
    assert window.t5_ns.notna().all()
    assert (window.t5_ns >= window.t4_ns).all() or not registry.select(label).backend.executes


def first_with(capability: Capability) -> list[Any]:
    """Return the first variant of each backend that promises it; Django-RQ's code is RQ's."""
    having = (v for v in reversed(TAKERS) if capability in promised(v))
    first = {v.partition("[")[0]: v for v in having if not v.startswith("django-rq")}
    return [slow_where_it_is(label) for label in first.values()]


@pytest.mark.parametrize("label", first_with(Capability.GROUP))
def test_a_group_is_joined_when_all_of_it_has_ended(label: str, tmp_path: Path) -> None:
    """The system's own join comes after the last task of its group, and before the next group."""
    spec = spec_of(label, "io", FanOut(8, width=4), widest(label), size=2_000, warmup_tasks=0)
    made = run(tmp_path, spec)
    assert (made.row.status, made.row.reason, made.row.n_done) == ("ok", "", 8)
    window = made.tables["task"].query("phase == 'measure'").sort_values("task_id")
    assert (window.t5_ns >= window.t4_ns.groupby(window.t1_ns).transform("max")).all()
    assert window.t1_ns.nunique() == 2
    assert window.t5_ns.min() <= window.t1_ns.max()


@pytest.mark.parametrize("label", first_with(Capability.CHAIN))
def test_each_task_of_a_chain_starts_when_the_one_before_has_ended(
    label: str, tmp_path: Path
) -> None:
    """In the order in which they were handed over, on as many workers as there are."""
    spec = spec_of(label, "io", Chained(6, length=3), widest(label), size=2_000, warmup_tasks=0)
    made = run(tmp_path, spec)
    assert (made.row.status, made.row.reason, made.row.n_done) == ("ok", "", 6)
    window = made.tables["task"].query("phase == 'measure'").sort_values("task_id")
    for _, chain in window.groupby("t1_ns"):
        assert (chain.t3_ns.iloc[1:].array >= chain.t4_ns.iloc[:-1].array).all()
        assert (chain.t5_ns >= chain.t4_ns.max()).all()


@pytest.mark.parametrize(
    "label", [slow_where_it_is(v) for v in TAKERS if Capability.SUBMIT not in promised(v)]
)
def test_a_batch_with_a_task_that_raises_is_a_failed_row_and_no_loss(
    label: str, tmp_path: Path, misbehaving: dict[str, str]
) -> None:
    """The exception reaches the ledger, and may end the one call that the batch is."""
    row = run(tmp_path, spec_of(label, misbehaving["RAISING"], Burst(10), warmup_tasks=0)).row
    assert row.status == "failed"
    assert row.n_failed >= 1
    assert row.reason.startswith(f"{row.n_failed} of 10 tasks raised")
    assert (row.n_lost, row.n_partial) == (0, 0)


@pytest.mark.parametrize("label", [slow_where_it_is(label) for label in LABELS])
def test_stop_is_idempotent_and_leaves_nothing(
    label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system in this process leaves no thread, process, socket or file, however often stopped."""
    chosen = registry.select(label)
    if registry.has_own_workers(chosen) or services_of(chosen.backend, chosen.variant):
        return  # its processes are the cluster's; for the rest of it, see test_clients
    for name, value in {"LEDGER": str(tmp_path / "ledger"), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    before = held()
    backend = chosen.backend(registry.setup(chosen, Topology(1, 1, 1), {}))
    backend.start()
    backend.stop()
    backend.stop()
    assert held() <= before


@pytest.mark.parametrize("name", registry.backends())
def test_every_backend_says_what_it_is(name: str) -> None:
    """Facts that figures, tables and errors need are stated."""
    backend = registry.backends()[name]
    assert backend.family
    assert backend.summary
    assert backend.profiles[0].name == "default"
    assert not backend.profiles[0].settings
    names = {variant.name for variant in backend.variants}
    assert {name for profile in backend.profiles for name in profile.variants} <= names
    for variant in backend.variants:
        assert variant.summary
        assert variant.capabilities
        offered = [profile.name for profile in registry.profiles_of(backend, variant.name)]
        assert len(set(offered)) == len(offered)
