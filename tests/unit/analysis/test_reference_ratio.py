"""The speed-of-light rows of METHOD M18: who bounds whom, what runs beside whom, and the ratio."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import pytest

from lab.analysis.estimates import estimates
from lab.analysis.metrics import registry as metrics
from lab.analysis.reference_ratio import SHARE, shares
from lab.cli.main import main
from lab.core.backend import ceilings_of
from lab.core.errors import ClusterError
from lab.core.model import Burst, Paced, Periodic
from lab.figures import FIGURES, Tables
from lab.planning import registry
from lab.planning.plan import Selection, make_plan
from lab.planning.presets import PRESETS, Cell
from lab.planning.registry import Selected
from lab.providers.servers import RedisService
from lab.report import sections
from lab.report.answers.speed import overhead
from lab.report.page import render
from lab.report.summary import ABOVE, Row, summary
from lab.results.schema import TrialRow
from lab.results.schema.machine import BaselineRow
from lab.running import host_baselines
from tests.factories.campaigns import SYSTEMS, Campaign, campaign, typed
from tests.factories.trials import spec_of

VARIANTS = [
    registry.select(f"{name}[{variant.name}]")
    for name, backend in registry.backends().items()
    for variant in backend.variants
]
POOL, QUEUE = "thread-pool[executor]@default", "queue[simple-queue]@default"
CLOCK = "deadline-loop[thread]@default"
BURST, PACED = Cell("noop", Burst(10), ceilings=1), Cell("noop", Paced(10, 50.0), ceilings=0)
BESIDE = Selection(
    labels=(POOL,),
    cells=(BURST, PACED),
    cores=(1,),
    nodes=(1,),
    workers_per_core=(1,),
    provider="local",
    blocks=2,
    seed=11,
    warmup_per_slot=3,
    deadline_s=9.0,
    references={QUEUE: 0, CLOCK: 1},
)
COST_S = {s.backend: s.cost_s for s in SYSTEMS}


@pytest.mark.parametrize("chosen", VARIANTS, ids=lambda chosen: chosen.label)
def test_every_system_has_a_ceiling_and_no_ceiling_has_one(chosen: Selected) -> None:
    """Labels lead to references, so a row can always name what it is compared with."""
    named = [registry.select(label) for label in ceilings_of(chosen.backend, chosen.variant)]
    assert bool(named) == (chosen.backend.family != "reference")
    assert all(one.backend.family == "reference" for one in named)
    assert registry.ceiling(chosen.label) == (named[0].label if named else "")


def test_a_reference_nobody_asked_for_takes_what_wants_one_of_its_place() -> None:
    """The first ceiling stands beside the burst, in each block; the second would, if two did."""
    trials = make_plan(BESIDE).trials
    assert [(s.arrival.kind, s.block) for s in trials if s.label == QUEUE] == [
        ("burst", 0), ("burst", 1),
    ]  # fmt: skip
    assert CLOCK not in {s.label for s in trials}
    periodic = (
        replace(BURST, ceilings=None),
        Cell("noop", Periodic(1, 4, every_s=1.0), ceilings=None),
    )
    plan = make_plan(replace(BESIDE, cells=periodic))
    assert CLOCK not in {s.label for s in plan.trials}
    # What nobody asked for and what cannot be is not told; what was asked for is.
    assert {skip.spec.label for skip in plan.skips} == {POOL}


def test_references_change_no_other_trial() -> None:
    """What was measured without them stays comparable."""
    alone = make_plan(replace(BESIDE, references={})).trials
    assert {s.id for s in alone} < {s.id for s in make_plan(BESIDE).trials}


def test_a_reference_takes_no_cell_that_no_system_takes() -> None:
    """A schedule that stands in for tasks is for those who take none; so is its ceiling."""
    cells = (BURST, Cell("noop", Periodic(1, 4, every_s=1.0), fallback=True, ceilings=None))
    clock = {CLOCK: 0}
    assert not [s for s in make_plan(replace(BESIDE, cells=cells, references=clock)).trials
                if s.label == CLOCK]  # fmt: skip
    beat = replace(BESIDE, cells=cells, labels=("celery-beat",), references=clock)
    arrivals = [(s.backend, s.arrival.kind) for s in make_plan(beat).trials if s.block == 0]
    assert sorted(arrivals) == [("celery-beat", "periodic"), ("deadline-loop", "periodic")]


def test_who_names_a_system_is_told_which_references_join_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line names those that run and no others; one that was asked for is not added."""
    words = ["bench", "--dry-run", "--provider", "local", "-w", "noop", "-b", "rq"]
    assert main(words) == 0
    shown = capsys.readouterr()
    beside = "inline[call]@default, raw-redis[small]@default."
    assert f"Also running reference backends: {beside}" in " ".join(shown.err.split())
    assert shown.out.count("raw-redis[small]") == PRESETS["quick"].blocks
    assert main([*words, "-b", "raw-redis[small]", "-b", "inline"]) == 0
    assert "Also running" not in capsys.readouterr().err
    assert main([*words[:-1], "null"]) == 0
    assert "Also running" not in capsys.readouterr().err


def with_ceilings(names: Mapping[str, str], systems: tuple[str, ...]) -> Tables:
    """Make a campaign of these systems in which some are bounded by others, by backend."""
    few = tuple(s for s in SYSTEMS if s.backend in systems)
    tables = dict(campaign(Campaign(systems=few, workloads=("noop",), cores=(1,))))
    trials = tables["trial"].assign(harness_ns=900.0, worker_processes=1)
    trials["ceiling"] = [names.get(backend, "") for backend in trials["backend"]]
    rows = [
        row
        for trial in (TrialRow(*values) for values in trials.itertuples(index=False))
        for row in metrics.trial_metrics(
            trial, tables["task"][tables["task"]["trial_id"] == trial.trial_id]
        )
    ]
    table = typed("metric", [*rows, *shares(trials, rows)])
    over = estimates(trials, table, "x", with_noisy=True)
    return tables | {"trial": trials, "metric": table, "estimate": typed("estimate", over)}


def row_of(tables: Tables, name: str) -> Row:
    """Return the summary's row of a label at the workload without work."""
    return next(r for r in summary(tables) if (r.name, r.workload) == (name, "noop"))


def test_a_row_says_how_near_its_ceiling_it_is() -> None:
    """The ratio is that of the costs a task, paired by block, with an interval and with a name."""
    bounds = {"thread-pool": "inline[call]@default"}
    tables = with_ceilings(bounds, ("inline", "thread-pool"))
    table = tables["estimate"]
    own = table[(table["metric"] == SHARE) & (table["workload"] == "noop")]
    assert list(own["label"].str.partition("[")[0]) == ["thread-pool"]
    expected = COST_S["inline"] / COST_S["thread-pool"]
    assert own["estimate"].iloc[0] == pytest.approx(expected, rel=0.1)
    assert own["ci_low"].iloc[0] < expected < own["ci_high"].iloc[0]
    assert "inline[call] in the same block" in tables["metric"]["method"].str.cat()
    assert row_of(tables, "thread-pool").numbers["of_ceiling"].text.endswith(" of inline[call]")
    assert row_of(tables, "inline").numbers["of_ceiling"].text == "a reference"
    start = "Share of the reference's throughput"
    (part,) = next(s for s in overhead(tables) if s.words.startswith(start)).parts
    assert re.fullmatch(r"thread-pool .+ % \(.+ % to .+ %\) of inline\[call\]", part)


def test_a_missing_ceiling_is_told_loudly() -> None:
    """The row says what to add, and the page says that the rate alone says little."""
    bounds = {"celery": "raw-redis[one-by-one]@default"}
    tables = with_ceilings(bounds, ("inline", "celery"))
    share = row_of(tables, "celery[prefork]").numbers["of_ceiling"]
    assert share.text == "not measured"
    assert "add -b 'raw-redis[one-by-one]'" in share.note
    own = tables["estimate"]["label"].str.startswith("celery[prefork]")
    lost = {
        **tables,
        "estimate": tables["estimate"].assign(estimate=lambda t: t.estimate.mask(own)),
    }
    # What has no rate of its own lacks more than a ceiling.
    assert row_of(lost, "celery[prefork]").numbers["of_ceiling"].text == "refused"
    page = render(tables, dict.fromkeys(FIGURES.values()))
    assert "The reference was not measured" in page
    assert "add -b &#39;raw-redis[one-by-one]&#39;" in page
    assert re.fullmatch(f">[^>]+ {ABOVE}", row_of(tables, "inline").numbers["throughput"].text)
    assert "Instrumentation lowers this throughput" in page


def test_what_the_record_costs_is_told_of_every_burst() -> None:
    """H is c / (p / X - c); above the bounds of METHOD M19 the throughput carries a mark."""
    tables = with_ceilings({}, ("inline", "thread-pool", "rq"))
    table = tables["estimate"]
    own = table[(table["metric"] == "harness_overhead") & (table["workload"] == "noop")]
    values = own.set_index(own["label"].str.partition("@")[0])["estimate"]
    expected = 0.9e-6 / (1.9e-3 - 0.9e-6)
    assert values["rq[simple-worker]"] == pytest.approx(expected, rel=0.1)
    assert list(own[own["label"].str.startswith("inline")]["bound"]) == [">"]
    marked = {name: ABOVE in row_of(tables, name).numbers["throughput"].text
              for name in ("inline", "thread-pool", "rq[simple-worker]")}  # fmt: skip
    assert marked == {"inline": True, "thread-pool": True, "rq[simple-worker]": False}


def test_the_chart_of_overhead_names_the_ceiling_of_each_row() -> None:
    """Its data has what the ceiling costs on the same workers, and its words say what a tick is."""
    bounds = {"thread-pool": "inline[call]@default", "rq": "raw-redis[one-by-one]@default"}
    chart = FIGURES["overhead"]
    data = chart.data(with_ceilings(bounds, ("inline", "thread-pool", "rq")))
    least = data.groupby("name")["least"].first()
    assert least["thread-pool"] == pytest.approx(COST_S["inline"], rel=0.2)
    assert pd.isna(least["rq[worker]"])
    figure = chart.draw(data)
    (axes, *_) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert "thread-pool\n(inline[call])" in names
    assert "rq[worker]\n(raw-redis[one-by-one], not measured)" in names
    assert "METHOD M18" in chart.caption(data)
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= legend.x0 < legend.x1 <= figure.bbox.x1


@pytest.mark.parametrize(
    "told",
    ['"LPUSH","63291.14"\n', '"test","rps","avg_latency_ms"\n"LPUSH","63291.14","0.4"\n'],
)
def test_the_brokers_own_benchmark_is_read(told: str) -> None:
    """Both shapes that its versions print."""
    assert host_baselines.rate_of(told) == 63291.14


def test_what_the_machine_does_alone_is_measured_for_those_who_need_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Processes for who starts some, Redis for who needs it; what lacks says how to get it."""

    def nothing(*_: object) -> str:
        raise ClusterError(host_baselines.MISSING)

    monkeypatch.setattr(host_baselines, "_locally", nothing)
    assert list(host_baselines.measure([spec_of("thread-pool")], "c", 0)) == []
    rows = list(host_baselines.measure([spec_of("thread-pool"), spec_of("rq")], "c", 3))
    started = [row for row in rows if row.baseline == "python -c 'pass'"]
    assert [row.repeat for row in started] == [0, 1]
    assert all(row.value and row.value > 0 for row in started)
    asked = [row for row in rows if row.baseline.startswith(host_baselines.TOOL)]
    assert {(row.baseline, row.value, row.method, row.block) for row in asked} == {
        ("redis-benchmark -P 1", None, host_baselines.MISSING, 3),
        ("redis-benchmark -P 16", None, host_baselines.MISSING, 3),
    }
    pings = {row.baseline: row for row in rows if "PING" in row.baseline}
    assert {name.rpartition(" over ")[2] for name in pings} == {"TCP", "a Unix socket"}
    # A round trip to another process and back: neither free nor slow.
    assert all(row.value and 100 < row.value < 1_000_000 for row in pings.values())
    assert all(row.method == host_baselines.PINGED for row in pings.values())


def test_a_server_that_does_not_start_is_a_row_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The campaign goes on without what the machine could not be asked."""

    def nothing(*_: object) -> None:
        raise ClusterError("No redis-server was found.")

    monkeypatch.setattr(RedisService, "start", nothing)
    rows = list(host_baselines.measure([spec_of("rq")], "c", 0))
    told = {row.method for row in rows if "PING" in row.baseline and row.value is None}
    assert told == {"No redis-server was found."}


def test_the_page_shows_what_the_machine_does_alone() -> None:
    """The mean over blocks with its interval, and the reason where it was not measured."""
    rows = [
        *(BaselineRow("c", block, "python -c 'pass'", 0, 0.02, "s", "told") for block in range(5)),
        BaselineRow("c", 0, "redis-benchmark -P 1", 0, None, "1/s", host_baselines.MISSING),
    ]
    known, asked = sections.baselines({"baseline": typed("baseline", rows)})
    assert (known.number.text, known.unit, asked.number.text) == ("20.0", "ms", "not measured")
    assert asked.method == host_baselines.MISSING


@pytest.mark.cluster
@pytest.mark.usefixtures("containers")
def test_redis_asks_itself_in_a_container() -> None:
    """Where Redis is a container's, its image has the tool; pipelines make it faster."""
    rows = list(host_baselines.measure([spec_of("rq", provider="compose")], "c", 0))
    rates = [row.value for row in rows if row.baseline.startswith(host_baselines.TOOL)]
    assert len(rates) == 2
    assert rates[0] is not None
    assert rates[1] is not None
    assert rates[0] < rates[1]


def test_what_runs_no_task_has_no_rate_of_work(made_up: Tables) -> None:
    """As `null`: it is there among no-ops, and not where tasks take a time that it leaves out."""
    idle = made_up["trial"]["label"].str.startswith("thread-pool[")
    trials = made_up["trial"].assign(executes=(~idle).astype(int))
    assert (idle & (trials["nominal_ns"] > 0)).any()
    data = FIGURES["scaling"].data({**made_up, "trial": trials})
    assert set(data.loc[data["name"] == "thread-pool", "nominal_ns"]) == {0}
