"""Tests references: which one bounds a backend, where it runs, and the ratio (METHOD M18)."""

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
from lab.core.backend import references_of
from lab.core.errors import ClusterError
from lab.core.model import Burst, Paced, Periodic
from lab.figures import FIGURES, Tables
from lab.planning import registry
from lab.planning.plan import Selection, make_plan
from lab.planning.presets import PRESETS, Case
from lab.planning.registry import SelectedBackend
from lab.providers import redis_benchmark
from lab.providers.local import LocalCluster
from lab.providers.servers import RedisService
from lab.report import sections
from lab.report.answers.speed import overhead
from lab.report.page import render
from lab.report.summary import ABOVE, SummaryRow, summary
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
BURST, PACED = (
    Case("noop", Burst(10), n_references=1),
    Case("noop", Paced(10, 50.0), n_references=0),
)
BESIDE = Selection(
    labels=(POOL,),
    cases=(BURST, PACED),
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
def test_every_backend_except_references_has_a_reference(chosen: SelectedBackend) -> None:
    """The labels of references can be selected, and the first one is in the row."""
    references = [registry.select(label) for label in references_of(chosen.backend, chosen.variant)]
    assert bool(references) == (chosen.backend.family != "reference")
    assert all(reference.backend.family == "reference" for reference in references)
    assert registry.reference(chosen.label) == (references[0].label if references else "")


def test_an_added_reference_runs_only_the_cells_that_use_it() -> None:
    """The first reference runs the burst in each block; the second is not used by this cell."""
    trials = make_plan(BESIDE).trials
    assert [(s.arrival.kind, s.block) for s in trials if s.label == QUEUE] == [
        ("burst", 0), ("burst", 1),
    ]  # fmt: skip
    assert CLOCK not in {s.label for s in trials}
    periodic = (
        replace(BURST, n_references=None),
        Case("noop", Periodic(1, 4, every_s=1.0), n_references=None),
    )
    plan = make_plan(replace(BESIDE, cases=periodic))
    assert CLOCK not in {s.label for s in plan.trials}
    # A skipped trial of an added reference is not reported; that of a selected label is.
    assert {skip.spec.label for skip in plan.skips} == {POOL}


def test_references_change_no_other_trial() -> None:
    """All trials without references are in the plan with references as well."""
    alone = make_plan(replace(BESIDE, references={})).trials
    assert {s.id for s in alone} < {s.id for s in make_plan(BESIDE).trials}


def test_a_reference_runs_no_cell_that_no_backend_runs() -> None:
    """A fallback schedule is only for backends that accept no tasks; so is its reference."""
    cases = (BURST, Case("noop", Periodic(1, 4, every_s=1.0), fallback=True, n_references=None))
    clock = {CLOCK: 0}
    assert not [s for s in make_plan(replace(BESIDE, cases=cases, references=clock)).trials
                if s.label == CLOCK]  # fmt: skip
    beat = replace(BESIDE, cases=cases, labels=("celery-beat",), references=clock)
    arrivals = [(s.backend, s.arrival.kind) for s in make_plan(beat).trials if s.block == 0]
    assert sorted(arrivals) == [("celery-beat", "periodic"), ("deadline-loop", "periodic")]


def test_bench_prints_which_references_it_adds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line has the added references; a selected reference is not added."""
    words = ["bench", "--dry-run", "--provider", "local", "-w", "noop", "-b", "rq"]
    assert main(words) == 0
    printed = capsys.readouterr()
    added = "inline[call]@default, raw-redis[small]@default."
    assert f"Also running reference backends: {added}" in " ".join(printed.err.split())
    assert printed.out.count("raw-redis[small]") == PRESETS["quick"].blocks
    assert main([*words, "-b", "raw-redis[small]", "-b", "inline"]) == 0
    assert "Also running" not in capsys.readouterr().err
    assert main([*words[:-1], "null"]) == 0
    assert "Also running" not in capsys.readouterr().err


def with_references(names: Mapping[str, str], systems: tuple[str, ...]) -> Tables:
    """Return the tables of a campaign of `systems`; `names` maps a backend to its reference."""
    few = tuple(s for s in SYSTEMS if s.backend in systems)
    tables = dict(campaign(Campaign(systems=few, workloads=("noop",), cores=(1,))))
    trials = tables["trial"].assign(instrumentation_ns=900.0, worker_processes=1)
    trials["reference"] = [names.get(backend, "") for backend in trials["backend"]]
    rows = [
        row
        for trial in (TrialRow(*values) for values in trials.itertuples(index=False))
        for row in metrics.trial_metrics(
            trial, tables["task"][tables["task"]["trial_id"] == trial.trial_id]
        )
    ]
    table = typed("metric", [*rows, *shares(trials, typed("metric", rows))])
    over = estimates(trials, table, "x", with_noisy=True)
    return tables | {"trial": trials, "metric": table, "estimate": typed("estimate", over)}


def row_of(tables: Tables, name: str) -> SummaryRow:
    """Return the summary's row of a label with the workload noop."""
    return next(r for r in summary(tables) if (r.name, r.workload) == (name, "noop"))


def test_a_row_has_the_ratio_to_its_reference() -> None:
    """The ratio is that of the costs per task, paired by block, with interval and reference."""
    bounds = {"thread-pool": "inline[call]@default"}
    tables = with_references(bounds, ("inline", "thread-pool"))
    table = tables["estimate"]
    ratio = table[(table["metric"] == SHARE) & (table["workload"] == "noop")]
    assert list(ratio["label"].str.partition("[")[0]) == ["thread-pool"]
    expected = COST_S["inline"] / COST_S["thread-pool"]
    assert ratio["estimate"].iloc[0] == pytest.approx(expected, rel=0.1)
    assert ratio["ci_low"].iloc[0] < expected < ratio["ci_high"].iloc[0]
    assert "inline[call] in the same block" in tables["metric"]["method"].str.cat()
    share = row_of(tables, "thread-pool").numbers["of_reference"]
    assert re.fullmatch(r"[\d.]+ % of inline\[call\]", share.text)
    assert row_of(tables, "inline").numbers["of_reference"].text == "a reference"
    start = "Share of the reference's throughput"
    (part,) = next(s for s in overhead(tables) if s.words.startswith(start)).parts
    assert re.fullmatch(r"thread-pool .+ % \(.+ % to .+ %\) of inline\[call\]", part)


def test_a_missing_reference_is_reported_with_the_next_step() -> None:
    """The row has the option to add, and the page has a warning about the throughput."""
    bounds = {"celery": "raw-redis[one-by-one]@default"}
    tables = with_references(bounds, ("inline", "celery"))
    share = row_of(tables, "celery[prefork]").numbers["of_reference"]
    assert share.text == "not measured"
    assert "add -b 'raw-redis[one-by-one]'" in share.note
    of_celery = tables["estimate"]["label"].str.startswith("celery[prefork]")
    lost = {
        **tables,
        "estimate": tables["estimate"].assign(estimate=lambda t: t.estimate.mask(of_celery)),
    }
    # Without a throughput the ratio is refused, whatever its reference.
    assert row_of(lost, "celery[prefork]").numbers["of_reference"].text == "refused"
    page = render(tables, dict.fromkeys(FIGURES.values()))
    assert "The reference was not measured" in page
    assert "add -b &#39;raw-redis[one-by-one]&#39;" in page
    assert re.fullmatch(f">[^>]+ {ABOVE}", row_of(tables, "inline").numbers["throughput"].text)
    assert "Instrumentation lowers this throughput" in page


def test_every_burst_has_its_instrumentation_overhead() -> None:
    """H is c / (p / X - c); above the limits of METHOD M19 the throughput has a mark."""
    tables = with_references({}, ("inline", "thread-pool", "rq"))
    table = tables["estimate"]
    rows = table[(table["metric"] == "instrumentation_overhead") & (table["workload"] == "noop")]
    values = rows.set_index(rows["label"].str.partition("@")[0])["estimate"]
    expected = 0.9e-6 / (1.9e-3 - 0.9e-6)
    assert values["rq[worker]"] == pytest.approx(expected, rel=0.1)
    assert list(rows[rows["label"].str.startswith("inline")]["bound"]) == [">"]
    marked = {name: ABOVE in row_of(tables, name).numbers["throughput"].text
              for name in ("inline", "thread-pool", "rq[worker]")}  # fmt: skip
    assert marked == {"inline": True, "thread-pool": True, "rq[worker]": False}


def test_the_overhead_figure_names_the_reference_of_each_row() -> None:
    """Its data has the cost of the reference on the same workers, and its legend fits."""
    bounds = {"thread-pool": "inline[call]@default", "rq": "raw-redis[one-by-one]@default"}
    chart = FIGURES["overhead"]
    data = chart.data(with_references(bounds, ("inline", "thread-pool", "rq")))
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
    "output",
    ['"LPUSH","63291.14"\n', '"test","rps","avg_latency_ms"\n"LPUSH","63291.14","0.4"\n'],
)
def test_the_rate_of_redis_benchmark_is_parsed(output: str) -> None:
    """Its versions print two formats."""
    assert host_baselines.rate_of(output) == 63291.14


def test_host_baselines_are_measured_for_the_backends_that_need_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Process starts for backends with workers, Redis for those on Redis, else a reason."""

    def fail(*_: object) -> str:
        raise ClusterError(redis_benchmark.MISSING)

    monkeypatch.setattr(LocalCluster, "benchmark_redis", fail)
    assert list(host_baselines.measure_baselines([spec_of("thread-pool")], "c", 0)) == []
    rows = list(host_baselines.measure_baselines([spec_of("thread-pool"), spec_of("rq")], "c", 3))
    started = [row for row in rows if row.baseline == "python -c 'pass'"]
    assert [row.repeat for row in started] == [0, 1]
    assert all(row.value and row.value > 0 for row in started)
    missing = [row for row in rows if row.baseline.startswith(redis_benchmark.TOOL)]
    assert {(row.baseline, row.value, row.method, row.block) for row in missing} == {
        ("redis-benchmark -P 1", None, redis_benchmark.MISSING, 3),
        ("redis-benchmark -P 16", None, redis_benchmark.MISSING, 3),
    }
    pings = {row.baseline: row for row in rows if "PING" in row.baseline}
    assert {name.rpartition(" over ")[2] for name in pings} == {"TCP", "a Unix socket"}
    # A round trip to another process takes between 1 us and 10 ms.
    assert all(row.value and 100 < row.value < 1_000_000 for row in pings.values())
    assert all(row.method == host_baselines.PINGED for row in pings.values())


def test_a_server_that_does_not_start_is_a_row_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The campaign continues without these host baselines."""

    def fail(*_: object) -> None:
        raise ClusterError("No redis-server was found.")

    monkeypatch.setattr(RedisService, "start", fail)
    rows = list(host_baselines.measure_baselines([spec_of("rq")], "c", 0))
    reasons = {row.method for row in rows if "PING" in row.baseline and row.value is None}
    assert reasons == {"No redis-server was found."}


def test_the_page_shows_the_host_baselines() -> None:
    """The page has the mean over blocks with its interval, or the reason without a value."""
    rows = [
        *(BaselineRow("c", block, "python -c 'pass'", 0, 0.02, "s", "how") for block in range(5)),
        BaselineRow("c", 0, "redis-benchmark -P 1", 0, None, "1/s", redis_benchmark.MISSING),
    ]
    measured, missing = sections.baselines({"baseline": typed("baseline", rows)})
    assert (measured.number.text, measured.unit) == ("20.0", "ms")
    assert (missing.number.text, missing.method) == ("not measured", redis_benchmark.MISSING)


@pytest.mark.cluster
@pytest.mark.usefixtures("containers")
def test_redis_benchmark_runs_in_a_container() -> None:
    """With containers the tool of the Redis image is used; pipelining increases the rate."""
    rows = list(host_baselines.measure_baselines([spec_of("rq", provider="compose")], "c", 0))
    rates = [row.value for row in rows if row.baseline.startswith(redis_benchmark.TOOL)]
    assert len(rates) == 2
    assert rates[0] is not None
    assert rates[1] is not None
    assert rates[0] < rates[1]


def test_a_backend_that_runs_no_tasks_is_shown_only_without_work(synthetic: Tables) -> None:
    """A backend such as `null` is in the scaling figure of noop, and of no longer tasks."""
    idle = synthetic["trial"]["label"].str.startswith("thread-pool[")
    trials = synthetic["trial"].assign(runs_tasks=(~idle).astype(int))
    assert (idle & (trials["nominal_ns"] > 0)).any()
    data = FIGURES["scaling"].data({**synthetic, "trial": trials})
    assert set(data.loc[data["name"] == "thread-pool", "nominal_ns"]) == {0}
