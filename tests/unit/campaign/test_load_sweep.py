"""Plans that grow with results: what follows from which tables, and nothing else (METHOD M8)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from lab.analysis.capacity import SITE, Answer, Capacity, Site
from lab.analysis.statistics import sample_floor
from lab.campaign.load_sweep import MOST_TASKS, forecast, next_stage, site_of, tasks_at
from lab.core.model import Burst, Probe, Step, TrialSpec
from lab.core.serialization import spec_from_json, spec_to_json
from lab.planning.plan import Plan, Selection, make_plan
from lab.planning.presets import FIRST_TASKS, GROUPS, LADDERS, LATENCY

SPEEDS = {"celery": 800.0, "rq": 80.0, "thread-pool": 50_000.0}
SELECTION = Selection(
    labels=tuple(f"{name}[{variant}]@default" for name, variant in
                 (("celery", "prefork"), ("rq", "worker"), ("thread-pool", "executor"))),
    cells=GROUPS[LATENCY].cells,
    cores=(1, 2),
    nodes=(1,),
    workers_per_core=(1,),
    provider="local",
    blocks=3,
    seed=11,
    warmup_per_slot=200,
    deadline_s=120.0,
)  # fmt: skip
STANDARD = LADDERS["standard"]


def known(plan: Plan) -> dict[Site, Capacity]:
    """Tell what the trials of a plan say of made-up systems: all is held up to their speed."""
    found: dict[Site, Capacity] = {}
    for spec in plan.trials:
        speed = SPEEDS[spec.backend]
        own = found.setdefault(site_of(spec), Capacity(speed))
        if isinstance(spec.arrival, Probe):
            answer = Answer(spec.arrival.rate_hz, held=spec.arrival.rate_hz <= speed)
            found[site_of(spec)] = replace(own, answers=[*own.answers, answer])
    return found


def grown(plan: Plan, ladder: object = STANDARD, seed: int = 11) -> list[Plan]:
    """Return a plan as it is after each stage, to its end."""
    plans = [plan]
    for _ in range(100):
        more = next_stage(ladder, seed, plans[-1], known(plans[-1]))  # type: ignore[arg-type]
        if not (more.trials or more.skips):
            return plans
        last = plans[-1]
        plans.append(Plan((*last.trials, *more.trials), (*last.skips, *more.skips)))
    raise AssertionError("it grows for ever")


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    """The stages of a standard campaign over three systems."""
    return grown(make_plan(SELECTION))


def of_kind(plan: Plan, kind: type) -> list[TrialSpec]:
    """The trials of one kind of arrival."""
    return [spec for spec in plan.trials if type(spec.arrival) is kind]


def test_first_a_burst_then_a_search_then_the_ladder(plans: list[Plan]) -> None:
    """The first stage is planned beforehand; the last is the ladder, all at once."""
    assert {spec.arrival for spec in plans[0].trials} == {Burst(FIRST_TASKS)}
    assert {spec.topology.cores_per_node for spec in plans[-1].trials} == {2}
    steps = len(of_kind(plans[-1], Step))
    assert [len(of_kind(plan, Step)) for plan in plans[:-1]] == [0] * (len(plans) - 1)
    rounds = [after.trials[len(before.trials) :] for before, after in pairwise(plans[:-1])]
    assert all(len(set(map(site_of, one))) == len(one) for one in rounds)  # one a site, in turns
    # The pool's overload is left out: it is more than anybody is asked for.
    assert steps == 5 * (3 * len(STANDARD.fractions) + 2 - 1)
    assert [skip.reason for skip in plans[-1].skips] == [
        "24000 tasks/s is more than the highest rate of any trial, 20000."
    ]
    assert len({spec.id for spec in plans[-1].trials}) == len(plans[-1].trials)


def test_a_burst_that_was_over_too_soon_is_asked_again_bigger(plans: list[Plan]) -> None:
    """For a second and a half, within what a window can hold."""
    sizes = {name: [s.arrival.n_tasks for s in of_kind(plans[-1], Burst) if s.backend == name]
             for name in SPEEDS}  # fmt: skip
    assert sizes == {"celery": [300, 1_200], "rq": [300], "thread-pool": [300, MOST_TASKS]}


def test_each_block_holds_every_step_of_every_system_in_an_order_of_its_own(
    plans: list[Plan],
) -> None:
    """Interleaved over all systems (METHOD M3), with the same seeds for all (M4)."""
    steps = of_kind(plans[-1], Step)
    orders = [
        [(s.label, s.arrival) for s in steps if s.block == block]
        for block in range(STANDARD.blocks)
    ]
    assert all(Counter(order) == Counter(orders[0]) for order in orders)
    assert len(set(map(tuple, orders))) == STANDARD.blocks
    assert [s.block for s in steps] == sorted(s.block for s in steps)
    first = [s for s in steps if s.block == 0]
    # All have the eight shares in common; the two faster ones are offered half the slowest's too,
    # and the pool has no overload.
    assert sorted(Counter(s.seed for s in first).values()) == [2] * 2 + [3] * 7


def test_fractions_are_of_what_each_sustains_and_equal_rates_are_equal(plans: list[Plan]) -> None:
    """The equal rate is half of what the slowest sustains, which is a step of its own already."""
    final, found = plans[-1], known(plans[-1])
    rates: dict[str, list[float]] = {name: [] for name in SPEEDS}
    for spec in of_kind(final, Step):
        if spec.block == 0:
            share = spec.arrival.rate_hz / (found[site_of(spec)].sustained_hz or 0)  # type: ignore[union-attr]
            rates[spec.backend].append(round(share, 3))
    assert sorted(rates["rq"]) == list(STANDARD.fractions)
    assert set(STANDARD.fractions) < set(rates["celery"])
    equal = {spec.arrival.rate_hz for spec in of_kind(final, Step) if spec.backend == "rq"}  # type: ignore[union-attr]
    others = {spec.arrival.rate_hz for spec in of_kind(final, Step) if spec.backend == "celery"}  # type: ignore[union-attr]
    assert len(equal & others) == 1


def test_it_is_a_pure_function_of_the_tables(plans: list[Plan]) -> None:
    """A campaign that was stopped anywhere goes on as it would have gone on, from its JSON."""
    for before, after in pairwise(plans):
        text = json.dumps([spec_to_json(spec) for spec in before.trials])
        read = Plan(tuple(map(spec_from_json, json.loads(text))), before.skips)
        more = next_stage(STANDARD, 11, read, known(read))
        assert (*read.trials, *more.trials) == after.trials
    assert grown(make_plan(SELECTION), seed=12)[-1].trials != plans[-1].trials


def test_a_rate_beyond_a_system_is_a_row_with_its_sentence() -> None:
    """Who asks for a rate that nothing sustains gets a reason a label, and the ladder goes on."""
    ladder = replace(STANDARD, rate_hz=1e9)
    final = grown(make_plan(SELECTION), ladder)[-1]
    beyond = [skip for skip in final.skips if skip.spec.arrival.rate_hz == 1e9]  # type: ignore[union-attr]
    assert len(beyond) == len(SPEEDS)
    assert all("times the sustainable rate" in skip.reason for skip in beyond)
    assert len(of_kind(final, Step)) == 5 * (3 * len(STANDARD.fractions) - 1)


def test_a_system_that_takes_no_single_tasks_is_left_out_once() -> None:
    """A batch has no rate: the reason is said, and the others go on."""
    labels = (*SELECTION.labels, "joblib[loky]@default")
    first = make_plan(replace(SELECTION, labels=labels))
    speeds = {**SPEEDS, "joblib": 1_000.0}
    plan, said = first, []
    for _ in range(3):
        found = {site_of(s): Capacity(speeds[s.backend]) for s in plan.trials}
        more = next_stage(STANDARD, 11, plan, found)
        said += [skip.reason for skip in more.skips]
        plan = Plan((*plan.trials, *more.trials), (*plan.skips, *more.skips))
    assert said == ["joblib[loky] takes no single tasks."]


def test_alone_there_is_nobody_to_be_equal_to() -> None:
    """One system has its fractions and no equal rate."""
    final = grown(make_plan(replace(SELECTION, labels=SELECTION.labels[:1])))[-1]
    assert len(of_kind(final, Step)) == 5 * len(STANDARD.fractions)


@pytest.mark.parametrize(
    ("rate", "n"),
    [(10_000, 20_000), (100_000, MOST_TASKS), (200, 662), (30, 64), (5, 40), (0.5, 11)],
)
def test_a_window_holds_what_a_percentile_needs_where_it_can(rate: float, n: int) -> None:
    """Two seconds, or longer for p99 and p90, and never longer than a window may be."""
    assert tasks_at(rate, STANDARD) == n
    assert n in {11, 40, 64, 662} or n >= sample_floor(99)


def test_what_will_follow_is_foretold() -> None:
    """The dry run says how many, and six systems on two cores take about half an hour."""
    labels = ("celery[prefork]", "celery[threads]", "rq[worker]", "dask[distributed]",
              "thread-pool[executor]", "process-pool[fork]")  # fmt: skip
    plan = make_plan(replace(SELECTION, labels=tuple(f"{label}@default" for label in labels)))
    probes, steps, seconds = forecast(STANDARD, plan)
    assert (probes, steps) == (6 * 10, 6 * 5 * 9)
    assert 20 * 60 < seconds < 35 * 60


def test_a_site_is_the_same_in_a_plan_and_in_a_table(plans: list[Plan]) -> None:
    """Both name it by the same columns."""
    spec = plans[0].trials[0]
    named = dict(zip(SITE, site_of(spec), strict=True))
    assert named["label"] == spec.label
    assert named["cores_per_node"] == spec.topology.cores_per_node
    assert named["quota_cpus"] == spec.topology.quota_cpus
