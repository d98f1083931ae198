"""Tests that a plan is a pure function of the selection and its seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from lab.analysis.statistics import sample_floor
from lab.campaign.estimate import (
    IN_PROCESS_S,
    WITH_CLUSTER_S,
    total_s,
)
from lab.cli.parser import parse
from lab.cli.selection import select
from lab.core.model import Burst, Paced, Periodic, RoundTrip, Service, Topology, TrialSpec
from lab.core.serialization import spec_from_json, spec_to_json
from lab.planning import registry
from lab.planning.plan import Selection, make_plan
from lab.planning.presets import EXPERIMENTS, PRESETS, Case
from tests.contract.exactly_once import APART

SELECTION = Selection(
    labels=("thread-pool[executor]@default", "inline[call]@default", "celery[prefork]@default"),
    cases=(Case("noop", Burst(10)), Case("noop", Paced(10, 50.0)), Case("io", Burst(5), 1_000)),
    cores=(1, 2),
    nodes=(1,),
    workers_per_core=(1, 2),
    provider="local",
    blocks=6,
    seed=11,
    warmup_per_slot=3,
    deadline_s=9.0,
)


def key(spec: TrialSpec) -> tuple[object, ...]:
    """Return the identity of a configuration, without its block."""
    return (spec.label, spec.workload, spec.arrival, spec.topology)


def test_each_block_has_every_configuration_once() -> None:
    """Blocks are complete (METHOD M3)."""
    plan = make_plan(SELECTION)
    blocks = [Counter(key(s) for s in plan.trials if s.block == b) for b in range(6)]
    assert all(block == blocks[0] for block in blocks)
    assert set(blocks[0].values()) == {1}


def test_a_widest_cell_runs_on_one_topology() -> None:
    """Each backend runs it once per block, on the widest topology that it supports."""
    plan = make_plan(replace(SELECTION, cases=(Case("noop", Burst(10), widest=True),)))
    assert {(s.backend, s.topology.cores_per_node, s.topology.workers) for s in plan.trials} == {
        ("thread-pool", 2, 4), ("celery", 2, 4), ("inline", 1, 1),
    }  # fmt: skip
    assert len(plan.trials) == 3 * SELECTION.blocks
    assert plan.skips == ()


def test_a_widest_cell_without_a_supported_topology_is_skipped_once() -> None:
    """The reason is for the widest topology."""
    cases = (Case("noop", RoundTrip(5), widest=True),)
    plan = make_plan(replace(SELECTION, cases=cases))
    assert [(s.spec.backend, s.spec.topology.workers) for s in plan.skips] == [("celery", 4)]


def test_a_once_cell_is_in_the_first_block_only() -> None:
    """It is for cases that take long and have no interval, so it comes after the others."""
    cases = (Case("noop", Burst(10)), Case("noop", Paced(10, 50.0), blocks=1))
    plan = make_plan(replace(SELECTION, cases=cases))
    blocks = {kind: {s.block for s in plan.trials if s.arrival.kind == kind}
              for kind in ("burst", "paced")}  # fmt: skip
    assert blocks == {"burst": set(range(6)), "paced": {0}}
    kinds = [spec.arrival.kind for spec in plan.trials]
    assert kinds == sorted(kinds)


def test_a_case_runs_in_the_first_blocks_only() -> None:
    """As many as it names; a selection with fewer blocks runs it in all of them."""
    cases = (Case("noop", Burst(10), blocks=2), Case("noop", Paced(10, 50.0)))
    for blocks, expected in ((6, {0, 1}), (1, {0})):
        plan = make_plan(replace(SELECTION, cases=cases, blocks=blocks))
        assert {s.block for s in plan.trials if s.arrival.kind == "burst"} == expected


def test_a_fallback_is_for_backends_that_support_no_cell_before_it() -> None:
    """A backend with an earlier case neither runs nor skips it."""
    cases = (
        Case("noop", Burst(10), widest=True),
        *(
            Case("noop", arrival, widest=True, fallback=True)
            for arrival in (Periodic(1, 4, every_s=1.0), Periodic(1, 1, cron="* * * * *"))
        ),
    )
    labels = ("celery", "deadline-loop", "django-crontab")
    plan = make_plan(replace(SELECTION, labels=labels, cases=cases, blocks=1))
    assert {(s.backend, s.arrival) for s in plan.trials} == set(
        zip(labels, (case.arrival for case in cases), strict=True)
    )
    assert [s.spec.backend for s in plan.skips].count("celery") == 0


def test_quick_has_every_backend_and_reference_and_takes_five_minutes() -> None:
    """On two cores, half of it inside windows, according to the displayed estimate.

    Every percentile up to p90 has enough tasks.
    """
    quick = PRESETS["quick"]
    selection = select(parse(["bench", "--provider", "local"]), quick)
    trials = make_plan(replace(selection, cores=(1, 2), offers=frozenset(Service))).trials
    systems = {n: b for n, b in registry.backends().items() if b.family != "reference"}
    references = {"inline", "pipe", "queue", "raw-redis"}
    of_preset = {name for name, backend in systems.items() if backend.by_default}
    assert {s.backend for s in trials} >= of_preset | references
    assert not {s.backend for s in trials} & (set(systems) - of_preset)
    assert total_s(trials) <= 300
    has_cluster = (registry.has_worker_processes(registry.select(s.label)) for s in trials)
    fixed_s = sum(WITH_CLUSTER_S if has else IN_PROCESS_S for has in has_cluster)
    assert fixed_s <= total_s(trials) / 2
    assert all(s.arrival.n_tasks >= sample_floor(90) for s in trials if s.arrival.kind == "paced")


def test_all_adds_the_backends_that_are_in_no_preset() -> None:
    """The word `all` selects every installed system; a label beside it adds a variant."""
    words = ["bench", "--provider", "local", "-b", "all", "-b", "celery[threads]", "-b", "celery"]
    labels = select(parse(words), PRESETS["quick"]).labels
    installed = registry.backends().keys() - APART
    systems = {name for name in installed if registry.backend(name).family != "reference"}
    assert {label.partition("[")[0] for label in labels} == systems | {"inline", "null"}
    assert {"celery[threads]@default", "celery[prefork]@default"} <= set(labels)
    assert len(set(labels)) == len(labels)


def test_weak_cells_have_more_tasks_for_more_workers() -> None:
    """A trial that strong and weak scaling share runs once."""
    cases = (Case("cpu", Burst(40)), Case("cpu", Burst(20), weak=True))
    chosen = replace(SELECTION, labels=SELECTION.labels[:1], cases=cases, cores=(1,), blocks=1)
    trials = make_plan(replace(chosen, workers_per_core=(1, 2, 4))).trials
    sizes = sorted((s.topology.workers, s.arrival.n_tasks) for s in trials)
    assert sizes == [(1, 20), (1, 40), (2, 40), (4, 40), (4, 80)]


def test_a_slower_cell_has_fewer_tasks_for_backends_with_worker_processes() -> None:
    """A burst that takes a pool a second would take such a backend a minute."""
    plan = make_plan(replace(SELECTION, cases=(Case("noop", Burst(1_000), slower=10),), blocks=1))
    tasks = {s.backend: s.arrival.n_tasks for s in plan.trials}
    assert tasks == {"thread-pool": 1_000, "inline": 1_000, "celery": 100}


def test_selected_worker_slots_replace_those_of_a_cell() -> None:
    """A selection of worker slots applies to all cases."""
    cases = (Case("noop", Burst(10), workers=(1, 4)), Case("io", Burst(10), 1_000))
    selection = replace(SELECTION, labels=SELECTION.labels[:1], cases=cases, cores=(1,), blocks=1)
    for slots, noop, io in ((), {1, 4}, {1}), ((2,), {2}, {2}):
        trials = make_plan(replace(selection, workers_per_core=slots)).trials
        assert {s.topology.workers for s in trials if s.workload == "noop"} == noop
        assert {s.topology.workers for s in trials if s.workload == "io"} == io


def test_the_warm_up_of_long_tasks_takes_half_a_second() -> None:
    """Half a second of work per worker slot is enough (METHOD M16)."""
    cases = (Case("io", Burst(1_000), 100_000),)
    plan = make_plan(replace(SELECTION, cases=cases, warmup_per_slot=200, cores=(1,)))
    assert {s.warmup_tasks // s.topology.workers for s in plan.trials} == {5}


@pytest.mark.parametrize("name", ["overhead", "scaling"])
@pytest.mark.parametrize(("preset", "longest_s"), [("quick", 240), ("standard", 1_800)])
def test_a_group_takes_limited_time(name: str, preset: str, longest_s: int) -> None:
    """By the displayed estimate, on two cores, for a backend with worker processes."""
    chosen, group = PRESETS[preset], EXPERIMENTS[name]
    selection = replace(
        SELECTION,
        labels=SELECTION.labels[2:],
        cases=group.quick if preset == "quick" else group.cases,
        workers_per_core=(),
        blocks=chosen.blocks,
        warmup_per_slot=chosen.warmup_per_slot,
        deadline_s=chosen.deadline_s,
    )
    assert 0 < total_s(make_plan(selection).trials) < longest_s


def test_each_block_has_another_random_order() -> None:
    """The order within a block is a seeded permutation; it differs between blocks and seeds."""
    plan = make_plan(SELECTION)
    assert [s.block for s in plan.trials] == sorted(s.block for s in plan.trials)
    orders = [tuple(key(s) for s in plan.trials if s.block == b) for b in range(6)]
    assert len(set(orders)) == 6
    assert make_plan(SELECTION) == plan
    assert make_plan(replace(SELECTION, seed=12)).trials != plan.trials


def test_a_block_offers_the_same_plan_to_every_backend() -> None:
    """Seeds are equal within a block and case, and differ between blocks (METHOD M4)."""
    trials = make_plan(SELECTION).trials
    seeds: dict[Any, set[int]] = {(s.block, s.workload, s.arrival): set() for s in trials}
    for spec in trials:
        seeds[spec.block, spec.workload, spec.arrival].add(spec.seed)
    assert all(len(seed) == 1 for seed in seeds.values())
    assert len(set.union(*seeds.values())) == len(seeds)


def test_adding_a_backend_changes_no_other_trial() -> None:
    """Earlier results remain comparable when the selection grows."""
    fewer = make_plan(replace(SELECTION, labels=SELECTION.labels[:2]))
    assert {s.id for s in fewer.trials} < {s.id for s in make_plan(SELECTION).trials}


def test_an_unsupported_configuration_is_skipped_with_a_reason() -> None:
    """Capabilities decide, and each reason is reported once."""
    cases = (Case("noop", RoundTrip(5)),)
    plan = make_plan(replace(SELECTION, cases=cases, nodes=(1, 2)))
    reasons = {(s.spec.backend, s.spec.topology.nodes): s.reason for s in plan.skips}
    assert "returns no result" in reasons["celery", 1]
    assert "cannot span nodes" in reasons["thread-pool", 2]
    assert "one worker slot" in reasons["inline", 1]
    assert {s.spec.block for s in plan.skips} == {0}
    assert all(s.backend in ("thread-pool", "inline") for s in plan.trials)


def test_a_quota_is_only_for_backends_with_worker_processes() -> None:
    """Other backends are skipped, because their node is the driver, which has no quota."""
    plan = make_plan(replace(SELECTION, cores=(1,), quota_cpus=0.5))
    assert {spec.backend for spec in plan.trials} == {"celery"}
    assert {spec.topology.quota_cpus for spec in plan.trials} == {0.5}
    assert all("must not have a CPU quota" in skip.reason for skip in plan.skips)


def test_an_id_is_a_pure_function_of_the_fields() -> None:
    """Equal specs have equal ids, and every field counts."""
    spec = make_plan(SELECTION).trials[0]
    assert spec.id == replace(spec).id
    others = [
        replace(spec, size=spec.size + 1),
        replace(spec, block=99),
        replace(spec, topology=Topology(1, 1, 9)),
        replace(spec, topology=replace(spec.topology, quota_cpus=0.5)),
        replace(spec, arrival=Paced(spec.arrival.n_tasks, 5.0)),
        replace(spec, profile="safe"),
    ]
    assert len({spec.id, *(other.id for other in others)}) == 7


def test_specs_survive_json() -> None:
    """A plan that is written and read back is the same plan."""
    import json

    for spec in make_plan(
        replace(SELECTION, cases=(*SELECTION.cases, Case("noop", RoundTrip(3))))
    ).trials:
        assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec
