"""Tests the contract of a backend for every variant in the registry, on a real cluster."""

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
    Chain,
    FanOut,
    Priority,
    Retry,
    RoundTrip,
    Topology,
    TrialSpec,
)
from lab.host import processes
from lab.planning import registry
from lab.providers.local import LocalCluster
from tests.contract.exactly_once import (
    APART,
    assert_exactly_once,
    may_raise,
    n_tasks_of,
    workload_of,
)
from tests.contract.stopping import resources
from tests.factories.trials import run, spec_of
from tests.factories.user_tasks import WAIT_NS


def with_marks(label: str) -> Any:
    """Mark a label as slow if it has worker processes, or is not its backend's first variant."""
    chosen = registry.select(label)
    is_first = chosen.variant == chosen.backend.variants[0].name
    is_slow = registry.has_worker_processes(chosen) or not is_first
    return pytest.param(label, marks=[pytest.mark.slow] * is_slow)


LABELS = [
    f"{name}[{variant.name}]"
    for name, backend in registry.backends().items()
    for variant in backend.variants
    # The others need a server that runs only in containers, see tests/cluster, a newer Python, see
    # test_interpreters, or a package that is in no lock, see test_ray.
    if set(services_of(backend, variant.name)) <= LocalCluster.offers
    and not registry.needed_python(backend)
    and name not in APART
]


def promised(label: str) -> frozenset[Capability]:
    """Return the capabilities of a label's variant."""
    chosen = registry.select(label)
    return capabilities(chosen.backend, chosen.variant)


# The others run only scheduled jobs: see test_schedules.
TASK_LABELS = [v for v in LABELS if promised(v) & {Capability.SUBMIT, Capability.BATCH}]
VARIANTS = [with_marks(label) for label in TASK_LABELS]
# Each profile with the first variant that has it.
FIRST_WITH = {
    (name, profile.name): f"{name}[{variant.name}]@{profile.name}"
    for name, backend in registry.backends().items()
    for variant in reversed(backend.variants)
    for profile in registry.profiles_of(backend, variant.name)[1:]
    if f"{name}[{variant.name}]" in LABELS
}
PROFILES = [with_marks(label) for label in FIRST_WITH.values()]


def widest(label: str) -> Topology:
    """Return two workers on two CPUs, or one if the variant is not parallel."""
    return Topology(1, 2, 2) if Capability.PARALLEL in promised(label) else Topology(1, 1, 1)


@pytest.mark.parametrize("label", VARIANTS)
def test_a_thousand_tasks_run_exactly_once(
    label: str, tmp_path: Path, misbehaving: dict[str, str], temporary: Path
) -> None:
    """One in a hundred raises, which is counted and affects no other task; some run fewer.

    If a variant accepts only batches, an exception may end the batch: see below.
    """
    raises = may_raise(label)
    spec = spec_of(
        label,
        misbehaving[workload_of(label)],
        Burst(n_tasks_of(label)),
        widest(label),
        size=int(raises),
        deadline_s=480.0,
    )
    result = run(tmp_path, spec)
    assert_exactly_once(result, raises=raises)
    assert remaining_processes(result.row.trial_id) == []
    assert list(temporary.iterdir()) == []


def remaining_processes(trial_id: str) -> list[psutil.Process]:
    """Return the processes of a trial that are still running."""
    return processes.labelled(lambda env: env.get(processes.TRIAL, "").startswith(trial_id))


AWAITING = {Capability.COROUTINES, Capability.AWAITS}
COROUTINE: dict[str, Any] = {"is_coroutine": True, "answer": 4, "warmup_tasks": 2}


def coroutine_spec(label: str, arrival: Arrival, **changes: Any) -> TrialSpec:
    """Return a small spec of a user's coroutine function."""
    return spec_of(
        label, "tests.factories.user_tasks:waits[4]", arrival, **{**COROUTINE, **changes}
    )


@pytest.mark.parametrize("label", [with_marks(v) for v in TASK_LABELS if AWAITING & promised(v)])
def test_coroutine_function_is_awaited(label: str, tmp_path: Path) -> None:
    """Its task ends when the coroutine returns, not when it is created."""
    result = run(tmp_path, coroutine_spec(label, Burst(20), topology=widest(label)))
    assert (result.row.status, result.row.reason, result.row.n_done) == ("ok", "", 20)
    assert result.row.answer_check == "inline call"
    window = result.tables["task"].query("phase == 'measure'")
    assert (window.t4_ns - window.t3_ns >= WAIT_NS).all()


@pytest.mark.parametrize("arrival", [Chain(6, length=3), FanOut(6, width=3), RoundTrip(6)])
@pytest.mark.parametrize("label", ["rq[simple-worker]", "dask[distributed]"])
@pytest.mark.slow
def test_coroutine_function_is_awaited_in_every_arrival(
    label: str, arrival: Arrival, tmp_path: Path
) -> None:
    """Chains, groups and round trips await it, too."""
    row = run(tmp_path, coroutine_spec(label, arrival)).row
    assert (row.status, row.reason, row.n_done, row.answer_check) == ("ok", "", 6, "inline call")


@pytest.mark.parametrize("label", PROFILES)
def test_every_profile_runs(label: str, tmp_path: Path) -> None:
    """The backend accepts a profile's settings; the profile explains them."""
    chosen = registry.select(label)
    profiles = registry.profiles_of(chosen.backend, chosen.variant)
    profile = next(p for p in profiles if p.name == chosen.profile)
    assert profile.settings
    assert len(profile.why) > 40
    assert run(tmp_path, spec_of(label, topology=widest(label))).row.status == "ok"


@pytest.mark.parametrize(
    "label", [with_marks(v) for v in LABELS if Capability.RESULT in promised(v)]
)
def test_round_trip_receives_each_result_after_its_task(label: str, tmp_path: Path) -> None:
    """The backend's result call returns for each task, and not before its end."""
    result = run(tmp_path, spec_of(label, arrival=RoundTrip(20)))
    assert (result.row.status, result.row.reason) == ("ok", "")
    window = result.tables["task"].query("phase == 'measure'")
    assert window.t5_ns.notna().all()
    assert (window.t5_ns >= window.t4_ns).all() or not registry.select(label).backend.executes


def first_with(capability: Capability) -> list[Any]:
    """Return each backend's first variant with a capability, without Django-RQ, which is RQ."""
    having = (v for v in reversed(TASK_LABELS) if capability in promised(v))
    first = {v.partition("[")[0]: v for v in having if not v.startswith("django-rq")}
    return [with_marks(label) for label in first.values()]


@pytest.mark.parametrize("label", first_with(Capability.GROUP))
def test_join_returns_after_all_tasks_of_its_group(label: str, tmp_path: Path) -> None:
    """The backend's join returns after the group's last task, and before the next group."""
    spec = spec_of(label, "io", FanOut(8, width=4), widest(label), size=2_000, warmup_tasks=0)
    result = run(tmp_path, spec)
    assert (result.row.status, result.row.reason, result.row.n_done) == ("ok", "", 8)
    window = result.tables["task"].query("phase == 'measure'").sort_values("task_id")
    assert (window.t5_ns >= window.t4_ns.groupby(window.t1_ns).transform("max")).all()
    assert window.t1_ns.nunique() == 2
    assert window.t5_ns.min() <= window.t1_ns.max()


@pytest.mark.parametrize("label", first_with(Capability.CHAIN))
def test_chain_runs_its_tasks_one_after_the_other(label: str, tmp_path: Path) -> None:
    """Each task starts after the end of the previous one, in the order of submission."""
    spec = spec_of(label, "io", Chain(6, length=3), widest(label), size=2_000, warmup_tasks=0)
    result = run(tmp_path, spec)
    assert (result.row.status, result.row.reason, result.row.n_done) == ("ok", "", 6)
    window = result.tables["task"].query("phase == 'measure'").sort_values("task_id")
    for _, chain in window.groupby("t1_ns"):
        assert (chain.t3_ns.iloc[1:].array >= chain.t4_ns.iloc[:-1].array).all()
        assert (chain.t5_ns >= chain.t4_ns.max()).all()


@pytest.mark.parametrize("label", first_with(Capability.RETRY))
def test_a_retry_runs_every_task_again_that_raised(label: str, tmp_path: Path) -> None:
    """Each task raises in its first execution, and returns in a later one."""
    # Longer than the minute after which Django-Q's database queue presents a failed task again.
    spec = spec_of(label, "flaky", Retry(6), warmup_tasks=0, deadline_s=180.0)
    row = run(tmp_path, spec).row
    assert (row.status, row.reason, row.n_done, row.n_failed) == ("ok", "", 6, 0)
    assert row.n_duplicated == 0


@pytest.mark.parametrize("label", first_with(Capability.PRIORITY))
def test_urgent_tasks_start_before_waiting_ones(label: str, tmp_path: Path) -> None:
    """They are offered last, and half of the others starts after them."""
    spec = spec_of(label, "io", Priority(40, n_urgent=5), size=20_000, warmup_tasks=0)
    result = run(tmp_path, spec)
    assert (result.row.status, result.row.reason, result.row.n_done) == ("ok", "", 40)
    window = result.tables["task"].query("phase == 'measure'").sort_values("task_id")
    low, urgent = window.t3_ns.iloc[:-5], window.t3_ns.iloc[-5:]
    assert urgent.max() < low.median()


@pytest.mark.parametrize(
    "label", [with_marks(v) for v in TASK_LABELS if Capability.SUBMIT not in promised(v)]
)
def test_failing_task_in_a_batch_is_counted_and_loses_no_task(
    label: str, tmp_path: Path, misbehaving: dict[str, str]
) -> None:
    """The exception is in the ledger, and may end the call of the batch."""
    row = run(tmp_path, spec_of(label, misbehaving["RAISING"], Burst(10), warmup_tasks=0)).row
    assert row.status == "failed"
    assert row.n_failed >= 1
    assert row.reason.startswith(f"{row.n_failed} of 10 tasks raised")
    assert (row.n_lost, row.n_partial) == (0, 0)


@pytest.mark.parametrize("label", [with_marks(label) for label in LABELS])
def test_stop_is_idempotent_and_releases_all_resources(
    label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After two calls of `stop`, no new thread, process, socket or file remains."""
    chosen = registry.select(label)
    if registry.has_worker_processes(chosen) or services_of(chosen.backend, chosen.variant):
        return  # the cluster stops its processes; test_clients tests its client
    for name, value in {"LEDGER": str(tmp_path / "ledger"), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    before = resources()
    backend = chosen.backend(registry.setup(chosen, Topology(1, 1, 1), {}))
    backend.start()
    backend.stop()
    backend.stop()
    assert resources() <= before


@pytest.mark.parametrize("name", registry.backends())
def test_backend_declares_its_facts(name: str) -> None:
    """The facts that figures, tables and errors need are not empty."""
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
        profiles = [profile.name for profile in registry.profiles_of(backend, variant.name)]
        assert len(set(profiles)) == len(profiles)
