"""Tests that the plan of a load sweep grows with the results (METHOD M8)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from lab.analysis.capacity import Capacity, CellKey, ProbeResult
from lab.analysis.statistics import sample_floor
from lab.campaign.load_sweep import (
    MOST_TASKS,
    cell_key_of,
    forecast,
    later_stages_s,
    next_stage,
    tasks_at,
)
from lab.core.cell import SITE
from lab.core.model import Burst, LoadLevel, RateProbe, TrialSpec
from lab.core.serialization import spec_from_json, spec_to_json
from lab.planning.plan import Plan, Selection, make_plan
from lab.planning.presets import EXPERIMENTS, FIRST_TASKS, LATENCY, LOAD_SWEEPS

SPEEDS = {"celery": 800.0, "rq": 80.0, "thread-pool": 50_000.0}
SELECTION = Selection(
    labels=tuple(f"{name}[{variant}]@default" for name, variant in
                 (("celery", "prefork"), ("rq", "worker"), ("thread-pool", "executor"))),
    cases=EXPERIMENTS[LATENCY].cases,
    cores=(1, 2),
    nodes=(1,),
    workers_per_core=(1,),
    provider="local",
    blocks=3,
    seed=11,
    warmup_per_slot=200,
    deadline_s=120.0,
)  # fmt: skip
STANDARD = LOAD_SWEEPS["standard"]


def capacities_of(plan: Plan) -> dict[CellKey, Capacity]:
    """Return the results of fictitious backends, which sustain all rates up to SPEEDS."""
    capacities: dict[CellKey, Capacity] = {}
    for spec in plan.trials:
        speed = SPEEDS[spec.backend]
        before = capacities.setdefault(cell_key_of(spec), Capacity(speed))
        if isinstance(spec.arrival, RateProbe):
            result = ProbeResult(spec.arrival.rate_hz, is_sustained=spec.arrival.rate_hz <= speed)
            capacities[cell_key_of(spec)] = replace(before, results=[*before.results, result])
    return capacities


def grown(plan: Plan, sweep: object = STANDARD, seed: int = 11) -> list[Plan]:
    """Return the plan after each stage, to the end of the sweep."""
    plans = [plan]
    for _ in range(100):
        more = next_stage(sweep, seed, plans[-1], capacities_of(plans[-1]))  # type: ignore[arg-type]
        if not (more.trials or more.skips):
            return plans
        last = plans[-1]
        plans.append(Plan((*last.trials, *more.trials), (*last.skips, *more.skips)))
    raise AssertionError("the plan does not end")


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    """Return the stages of a standard campaign with three backends."""
    return grown(make_plan(SELECTION))


def of_kind(plan: Plan, kind: type) -> list[TrialSpec]:
    """Return the trials of one kind of arrival."""
    return [spec for spec in plan.trials if type(spec.arrival) is kind]


def test_the_stages_are_a_burst_a_search_and_the_load_levels(plans: list[Plan]) -> None:
    """The first stage is planned before the run; the last has all load levels."""
    assert {spec.arrival for spec in plans[0].trials} == {Burst(FIRST_TASKS)}
    assert {spec.topology.cores_per_node for spec in plans[-1].trials} == {2}
    steps = len(of_kind(plans[-1], LoadLevel))
    assert [len(of_kind(plan, LoadLevel)) for plan in plans[:-1]] == [0] * (len(plans) - 1)
    rounds = [after.trials[len(before.trials) :] for before, after in pairwise(plans[:-1])]
    assert all(len(set(map(cell_key_of, specs))) == len(specs) for specs in rounds)  # one per site
    # The pool's overload is left out, because it is above the highest rate of any trial.
    assert steps == 5 * (3 * len(STANDARD.fractions) + 2 - 1)
    assert [skip.reason for skip in plans[-1].skips] == [
        "24000 tasks/s is more than the highest rate of any trial, 20000."
    ]
    assert len({spec.id for spec in plans[-1].trials}) == len(plans[-1].trials)


def test_a_burst_that_was_too_short_is_repeated_with_more_tasks(plans: list[Plan]) -> None:
    """The second burst lasts a second and a half, within the limit of tasks."""
    sizes = {name: [s.arrival.n_tasks for s in of_kind(plans[-1], Burst) if s.backend == name]
             for name in SPEEDS}  # fmt: skip
    assert sizes == {"celery": [300, 1_200], "rq": [300], "thread-pool": [300, MOST_TASKS]}


def test_each_block_has_all_load_levels_of_all_backends_in_another_order(
    plans: list[Plan],
) -> None:
    """The levels of all backends are interleaved (METHOD M3) and have the same seeds (M4)."""
    steps = of_kind(plans[-1], LoadLevel)
    orders = [
        [(s.label, s.arrival) for s in steps if s.block == block]
        for block in range(STANDARD.blocks)
    ]
    assert all(Counter(order) == Counter(orders[0]) for order in orders)
    assert len(set(map(tuple, orders))) == STANDARD.blocks
    assert [s.block for s in steps] == sorted(s.block for s in steps)
    first = [s for s in steps if s.block == 0]
    # All have the eight fractions; the two faster ones also have half the slowest's rate, and the
    # pool has no overload.
    assert sorted(Counter(s.seed for s in first).values()) == [2] * 2 + [3] * 7


def test_fractions_are_of_the_sustainable_rate_and_equal_rates_are_equal(plans: list[Plan]) -> None:
    """The equal rate is half of what the slowest sustains, which is one of its fractions."""
    final = plans[-1]
    capacities = capacities_of(final)
    rates: dict[str, list[float]] = {name: [] for name in SPEEDS}
    for spec in of_kind(final, LoadLevel):
        if spec.block == 0:
            share = spec.arrival.rate_hz / (capacities[cell_key_of(spec)].sustained_hz or 0)  # type: ignore[union-attr]
            rates[spec.backend].append(round(share, 3))
    assert sorted(rates["rq"]) == list(STANDARD.fractions)
    assert set(STANDARD.fractions) < set(rates["celery"])
    offered: dict[str, set[float]] = {name: set() for name in SPEEDS}
    for spec in of_kind(final, LoadLevel):
        offered[spec.backend].add(spec.arrival.rate_hz)  # type: ignore[union-attr]
    assert len(offered["rq"] & offered["celery"]) == 1


def test_the_plan_is_a_pure_function_of_the_tables(plans: list[Plan]) -> None:
    """A campaign that was stopped after any stage continues from its JSON with the same trials."""
    for before, after in pairwise(plans):
        text = json.dumps([spec_to_json(spec) for spec in before.trials])
        read = Plan(tuple(map(spec_from_json, json.loads(text))), before.skips)
        more = next_stage(STANDARD, 11, read, capacities_of(read))
        assert (*read.trials, *more.trials) == after.trials
    assert grown(make_plan(SELECTION), seed=12)[-1].trials != plans[-1].trials


def test_a_rate_beyond_all_backends_is_skipped_with_a_reason() -> None:
    """For `--rate` above all capacities, each label has a reason, and the fractions are planned."""
    sweep = replace(STANDARD, rate_hz=1e9)
    final = grown(make_plan(SELECTION), sweep)[-1]
    beyond = [skip for skip in final.skips if skip.spec.arrival.rate_hz == 1e9]  # type: ignore[union-attr]
    assert len(beyond) == len(SPEEDS)
    assert all("times the sustainable rate" in skip.reason for skip in beyond)
    assert len(of_kind(final, LoadLevel)) == 5 * (3 * len(STANDARD.fractions) - 1)


def test_a_backend_that_takes_no_single_tasks_is_skipped_once() -> None:
    """The reason is recorded once, and the other backends continue."""
    labels = (*SELECTION.labels, "joblib[loky]@default")
    first = make_plan(replace(SELECTION, labels=labels))
    speeds = {**SPEEDS, "joblib": 1_000.0}
    plan = first
    reasons: list[str] = []
    for _ in range(3):
        capacities = {cell_key_of(s): Capacity(speeds[s.backend]) for s in plan.trials}
        more = next_stage(STANDARD, 11, plan, capacities)
        reasons += [skip.reason for skip in more.skips]
        plan = Plan((*plan.trials, *more.trials), (*plan.skips, *more.skips))
    assert reasons == ["The system takes no single tasks."]


def test_a_single_backend_has_no_equal_rate() -> None:
    """It has only its fractions."""
    final = grown(make_plan(replace(SELECTION, labels=SELECTION.labels[:1])))[-1]
    assert len(of_kind(final, LoadLevel)) == 5 * len(STANDARD.fractions)


@pytest.mark.parametrize(
    ("rate", "n"),
    [(9_000, 36_000), (100_000, MOST_TASKS), (150, 662), (15, 64), (5, 40), (0.5, 11)],
)
def test_a_window_has_enough_tasks_for_a_percentile_if_possible(rate: float, n: int) -> None:
    """A window lasts four seconds, or longer for p99 and p90, up to its limit."""
    assert tasks_at(rate, STANDARD) == n
    assert n in {11, 40, 64, 662} or n >= sample_floor(99)


def test_the_later_stages_are_estimated() -> None:
    """Six backends on two cores take about half an hour."""
    labels = ("celery[prefork]", "celery[threads]", "rq[worker]", "dask[distributed]",
              "thread-pool[executor]", "process-pool[fork]")  # fmt: skip
    plan = make_plan(replace(SELECTION, labels=tuple(f"{label}@default" for label in labels)))
    probes, steps, seconds = forecast(STANDARD, plan)
    assert (probes, steps) == (6 * 10, 6 * 5 * 9)
    assert 20 * 60 < seconds < 35 * 60


def test_the_later_stages_take_time_until_they_are_planned(plans: list[Plan]) -> None:
    """The first stage alone is a minute of the whole."""
    assert later_stages_s(STANDARD, plans[0]) == forecast(STANDARD, plans[0])[2]
    assert later_stages_s(STANDARD, plans[-1]) == 0.0


def test_a_site_is_the_same_in_a_plan_and_in_a_table(plans: list[Plan]) -> None:
    """Both identify it by the same columns."""
    spec = plans[0].trials[0]
    named = dict(zip(SITE, cell_key_of(spec), strict=True))
    assert named["label"] == spec.label
    assert named["cores_per_node"] == spec.topology.cores_per_node
    assert named["quota_cpus"] == spec.topology.quota_cpus
