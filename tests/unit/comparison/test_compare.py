"""Tests comparisons: verdicts, error rates, refusals, and the output formats."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lab.analysis.statistics import RefusedError
from lab.cli.main import main
from lab.comparison import aa, inputs
from lab.comparison.compare import Change, MetricChange, Noise, compare, unpaired_ratio
from lab.comparison.inputs import Side
from lab.core.errors import UnknownNameError
from lab.core.model import Estimate
from lab.results.store import Store
from tests.factories import campaigns
from tests.factories.rows import blank_cell

NOISE = 0.02
SMALL = campaigns.Campaign(
    blocks=12,
    systems=tuple(s for s in campaigns.SYSTEMS if s.backend in {"asyncio", "inline", "rq"}),
    workloads=("noop",),
    paced_tasks=40,
)


def side(name: str, values: np.ndarray, run: str, label: str = "x[y]@default") -> Side:
    """Return a side with one value per block."""
    n = len(values)
    cell = blank_cell() | {"label": label, "arrival": "burst", "rate_hz": np.nan}
    numbers = pd.DataFrame(
        {
            **{key: [value] * n for key, value in cell.items()},
            "block": range(n),
            "plan_hash": [f"plan{block}" for block in range(n)],
            "started_utc": "",
            "run": run,
            "trial_id": [f"{name}{block}" for block in range(n)],
            "metric": "worker_s_per_task",
            "value": values,
            "unit": "s",
        }
    )
    return Side(name, numbers, {"cpu": "one"}, "f" * 16)


def drifting(rng: np.random.Generator, blocks: int, effect: float) -> tuple[Side, Side]:
    """Return two backends of a campaign on a machine that slows by 15 % (M12); b costs more."""
    drift = np.linspace(1.0, 1.15, blocks)
    a, b = (drift * np.exp(rng.normal(0, NOISE, blocks)) for _ in range(2))
    return side("a", a, "run", "a[y]@default"), side("b", b * (1 + effect), "run", "b[y]@default")


def width(estimate: Estimate) -> float:
    """Return the width of an interval."""
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.high - estimate.low


def experiments(effect: float, n: int) -> list[MetricChange]:
    """Return the results of `n` comparisons of 15 pairs each."""
    rng = np.random.default_rng(3)
    return [compare(*drifting(rng, 15, effect))[0] for _ in range(n)]


def test_equal_backends_differ_in_at_most_5_percent_of_comparisons() -> None:
    """A/A, 400 comparisons on a drifting machine: p errs at its level, the verdict less often."""
    results = experiments(0.0, 400)
    assert 0.03 <= np.mean([number.p < 0.05 for number in results]) <= 0.07
    assert sum(n.change in {Change.WORSE, Change.BETTER} for n in results) <= 0.05 * 400
    assert [n.change for n in results].count(Change.TIE) > 0.95 * 400


def test_15_pairs_detect_a_slowdown_of_5_percent() -> None:
    """With 2 % noise it is `worse` in at least 95 of 100 comparisons."""
    assert [n.change for n in experiments(0.05, 200)].count(Change.WORSE) >= 190


def test_pairs_have_narrower_intervals_on_a_drifting_machine() -> None:
    """Without pairs the drift is part of the spread of both sides."""
    rng = np.random.default_rng(4)
    a, b = drifting(rng, 15, 0.03)
    paired = compare(a, b)[0].ratio
    apart, _ = unpaired_ratio(a.numbers.value.to_list(), b.numbers.value.to_list())
    assert width(paired) < width(apart) / 2


def test_two_runs_pair_only_if_their_blocks_are_interleaved() -> None:
    """Runs in sequence do not pair, nor do runs with unknown start times."""
    rng = np.random.default_rng(4)
    a, b = (side(name, np.exp(rng.normal(0, NOISE, 8)), name) for name in "ab")
    for lag, is_paired in ((1, True), (30, False), (None, False)):
        (number,) = compare(at_minutes(a, 0 if lag else None), at_minutes(b, lag))
        assert ("paired ratio" in number.ratio.method) == is_paired


def at_minutes(side: Side, first: int | None) -> Side:
    """Return a side whose blocks begin every two minutes from `first`; None: unknown."""
    begins = [
        "" if first is None else f"2026-01-01T10:{first + 2 * block:02d}:00"
        for block in side.numbers.block
    ]
    return replace(side, numbers=side.numbers.assign(started_utc=begins))


def test_the_direction_of_a_metric_decides_what_is_worse() -> None:
    """A higher throughput is better; a higher cost is worse."""
    a, b = side("a", np.full(8, 1.0), "r", "a"), side("b", np.full(8, 2.0), "r", "b")
    assert compare(a, b)[0].change == Change.WORSE
    rates = [replace(s, numbers=s.numbers.assign(metric="throughput_per_s")) for s in (a, b)]
    assert compare(rates[0], rates[1], metrics=["throughput_per_s"])[0].change == Change.BETTER


def test_differences_within_the_measured_noise_are_a_tie() -> None:
    """The noise of paired comparisons does not apply to others."""
    rng = np.random.default_rng(5)
    a, b = drifting(rng, 30, 0.08)
    assert compare(a, b)[0].change == Change.WORSE
    assert compare(a, b, noise=Noise(paired=0.15, apart=0.0))[0].change == Change.TIE
    assert compare(a, b, noise=Noise(paired=0.0, apart=0.15))[0].change == Change.WORSE


def test_few_trials_are_inconclusive_and_different_cells_are_refused() -> None:
    """Three trials have no interval; metrics of different cells are never compared."""
    few = [side(n, np.full(3, float(v)), n) for n, v in (("a", 1), ("b", 9))]
    assert compare(few[0], few[1])[0].change == Change.INCONCLUSIVE
    other = replace(few[1], numbers=few[1].numbers.assign(nodes=2))
    with pytest.raises(RefusedError, match="a and b have no usable metric in common"):
        compare(few[0], other)


def test_an_aa_test_measures_the_noise() -> None:
    """Halves of a run with 10 % spread differ by several percent, with few false alarms."""
    rng = np.random.default_rng(6)
    run = side("run", np.exp(rng.normal(0, 0.1, 40)), "run")
    for is_paired in (True, False):
        result = aa.run_aa_test(run, is_paired=is_paired)
        assert result.comparisons == result.splits == aa.SPLITS
        assert result.false_alarms <= 3
        assert 0.02 < result.smallest_effect < 0.15
        with pytest.raises(RefusedError, match="has 4 blocks; an A/A test needs 10"):
            aa.run_aa_test(side("run", np.ones(4), "run"), is_paired=is_paired)


def test_an_aa_test_pairs_adjacent_blocks() -> None:
    """With drift, pairs detect 2 %, halves 5 %; the partner of a missing trial is left out."""
    drift = np.exp(np.linspace(0, 0.4, 41) + np.random.default_rng(7).normal(0, 0.01, 41))
    run = side("run", drift, "run")
    incomplete = replace(run, numbers=run.numbers.drop(index=[3, 8, 9]))
    assert aa.run_aa_test(incomplete, is_paired=True).smallest_effect < 0.02
    assert aa.run_aa_test(incomplete, is_paired=False).smallest_effect > 0.05


def tables_of(plan: campaigns.Campaign) -> dict[str, pd.DataFrame]:
    """Return the tables of a synthetic campaign, of which a test may replace some."""
    return dict(campaigns.campaign(plan))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two synthetic runs; in the second every backend costs a third more."""
    folder = tmp_path_factory.mktemp("results")
    slower = tuple(replace(system, cost_s=1.33 * system.cost_s) for system in SMALL.systems)
    plans = {"first": SMALL, "second": replace(SMALL, systems=slower, seed=8)}
    for name, plan in plans.items():
        tables = tables_of(plan)
        commit = {"first": "b", "second": "c"}[name] * 40
        tables["campaign"] = tables["campaign"].assign(git_commit=commit, git_dirty="0")
        campaigns.write(tables, folder / "runs" / name)
    return folder


def test_a_slowdown_between_runs_or_commits_exits_with_4(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs and commits give the same result; in the other direction it is an improvement."""
    for a, b in (("first", "second"), ("b" * 7, "c" * 12)):
        assert main(["compare", a, b, "--results", str(results), "--format", "json"]) == 4
        output = json.loads(capsys.readouterr().out)
        noop = [n for n in output["compared"] if n["cell"]["workload"] == "noop"]
        assert {n["change"] for n in noop if n["metric"] == "worker_s_per_task"} == {"worse"}
    assert main(["compare", "second", "first", "--results", str(results)]) == 0
    threshold = ["--threshold", "60"]
    assert main(["compare", "first", "second", "--results", str(results), *threshold]) == 0


def test_an_inconclusive_slowdown_is_measured_again_with_twice_the_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """METHOD M30: only once, only for a slowdown, and the larger measurement decides."""
    many = {name: side(name, np.full(6, cost), "run") for name, cost in (("1", 1.0), ("2", 2.0))}
    few = {f"{name}few": replace(s, numbers=s.numbers[:3]) for name, s in many.items()}
    monkeypatch.setattr("lab.comparison.inputs.find_side", lambda name, *_: (many | few)[name])

    def compared(*measured: tuple[str, str]) -> tuple[int, list[int]]:
        folders = iter(measured)
        calls: list[int] = []

        def measure(_: object, pairs: int, *_more: object) -> list[Path]:
            calls.append(pairs)
            return [Path(name) for name in next(folders)]

        monkeypatch.setattr("lab.comparison.interleaved.run_interleaved", measure)
        return main(["compare", "A", "B", "--pairs", "3", "--results", str(tmp_path)]), calls

    assert compared(("1few", "2few"), ("1", "2")) == (4, [3, 6])
    assert compared(("1few", "2few"), ("1", "1")) == (0, [3, 6])
    assert compared(("1few", "2few"), ("1few", "2few")) == (0, [3, 6])
    assert compared(("2few", "1few")) == (0, [3])
    assert compared(("1", "2")) == (4, [3])


def test_two_backends_of_a_run_are_paired(results: Path) -> None:
    """A short name is enough if it matches one label; a typo has a suggestion."""
    names = ("asyncio", "rq[worker]")
    a, b = (inputs.find_side(name, results, results / "runs/first") for name in names)
    numbers = compare(a, b, ["makespan_s"])
    assert numbers
    assert all("paired ratio" in number.ratio.method for number in numbers)
    assert inputs.contracts(a, b).startswith(
        "The contracts differ (asyncio[event-loop]@default: pool; rq[worker]@default: "
        "at-most-once job queue). A weaker promise costs less time"
    )
    whole = inputs.find_side("first", results)
    assert (
        inputs.contracts(a, a) == inputs.contracts(whole, whole) == inputs.contracts(a, whole) == ""
    )
    with pytest.raises(UnknownNameError, match=r"Did you mean 'asyncio\[event-loop\]@default'"):
        inputs.find_side("asyncio[event-lop]", results)


def test_another_machine_needs_an_option(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message contains the fact that differs, and --other-machine allows it."""
    tables = tables_of(replace(SMALL, blocks=6))
    facts = tables["environment"]
    model = facts.key == "cpu.model"
    tables["environment"] = facts.assign(value=facts.value.mask(model, "Another CPU"))
    other = campaigns.write(tables, tmp_path / "other")
    arguments = ["compare", "first", str(other), "--results", str(results)]
    assert main(arguments) == 2
    assert "cpu.model: Made-up CPU @ 2.0 GHz / Another CPU" in capsys.readouterr().err
    assert main([*arguments, "--other-machine"]) in {0, 4}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["first"], "needs two sides"),
        (["first", "second", "--format", "jsn"], "Did you mean 'json'"),
        (["first", "second", "--metric", "makespan"], "Did you mean 'makespan_s'"),
        (["first", "secnd"], "Unknown run, measured commit, or backend of second 'secnd'"),
    ],
)
def test_invalid_arguments_are_explained(
    arguments: list[str], message: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One message, and exit code 2."""
    assert main(["compare", "--results", str(results), *arguments]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_null_writes_the_noise_for_later_comparisons(tmp_path: Path) -> None:
    """A damaged file ends the next comparison with exit code 2."""
    two = tuple(system for system in SMALL.systems if system.backend != "rq")
    tables = tables_of(replace(SMALL, systems=two, cores=(1,), blocks=10))
    run = campaigns.write(tables, tmp_path / "runs" / "run")
    results = ["--results", str(tmp_path)]
    assert main(["compare", "--null", str(run), *results]) == 0
    (file,) = (tmp_path / "null").iterdir()
    noise = json.loads(file.read_text())
    assert 0 < noise["paired"] < 0.2
    assert 0 < noise["apart"] < 0.2
    file.write_text("{")
    assert main(["compare", "asyncio", "inline", *results]) == 2


def test_a_commit_selects_all_its_clean_runs(results: Path, tmp_path: Path) -> None:
    """Runs with uncommitted changes are left out."""
    for name, dirty in (("one", "0"), ("two", "0"), ("three", "1")):
        tables = tables_of(replace(SMALL, blocks=2))
        tables["campaign"] = tables["campaign"].assign(git_commit="d" * 40, git_dirty=dirty)
        campaigns.write(tables, tmp_path / "runs" / name)
    one = inputs.find_side("one", tmp_path)
    assert len(inputs.find_side("d" * 8, tmp_path).numbers) == 2 * len(one.numbers)
    assert Store(results / "runs/first").read("campaign").git_dirty.iloc[0] == "0"
