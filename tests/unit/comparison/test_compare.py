"""Two sides compared: what is found, what is not, what is refused, and how it is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lab.analysis.statistics import RefusedError
from lab.cli.main import main
from lab.comparison import aa, inputs, render
from lab.comparison.compare import Change, Compared, Noise, compare, unpaired_ratio
from lab.comparison.inputs import Side
from lab.core.errors import UnknownNameError
from lab.core.model import Estimate
from lab.results.store import Store
from tests.factories import campaigns

NOISE = 0.02
SMALL = campaigns.Campaign(
    blocks=12,
    systems=[s for s in campaigns.SYSTEMS if s.backend in {"asyncio", "inline", "rq"}],
    workloads=("noop",),
    paced_tasks=40,
)


def side(name: str, values: np.ndarray, run: str, label: str = "x[y]@default") -> Side:
    """Make a side that has one number a block."""
    n = len(values)
    cell = {"workload": "noop", "size": 0, "arrival": "burst", "rate_hz": np.nan}
    cell |= {"gaps": "", "schedule": "", "shape": None, "n_planned": 100}
    where = {"provider": "local", "nodes": 1, "cores_per_node": 1, "workers_per_node": 1}
    where |= {"quota_cpus": 0.0}
    numbers = pd.DataFrame(
        {
            "label": label,
            **{key: [value] * n for key, value in (cell | where).items()},
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
    """Two backends of one campaign on a machine that slows by 15 % (METHOD M12); b costs more."""
    drift = np.linspace(1.0, 1.15, blocks)
    a, b = (drift * np.exp(rng.normal(0, NOISE, blocks)) for _ in range(2))
    return side("a", a, "run", "a[y]@default"), side("b", b * (1 + effect), "run", "b[y]@default")


def width(found: Estimate) -> float:
    """Return how wide an interval is; one without an interval has none."""
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


def experiments(effect: float, n: int) -> list[Compared]:
    """Return what each of many experiments of 15 pairs finds."""
    rng = np.random.default_rng(3)
    return [compare(*drifting(rng, 15, effect))[0] for _ in range(n)]


def test_equal_systems_are_called_different_in_at_most_5_percent() -> None:
    """A/A, 400 comparisons on a drifting machine: the test errs at its level, the verdict less."""
    found = experiments(0.0, 400)
    assert 0.03 <= np.mean([number.p < 0.05 for number in found]) <= 0.07
    assert sum(n.change in {Change.WORSE, Change.BETTER} for n in found) <= 0.05 * 400
    assert [n.change for n in found].count(Change.TIE) > 0.95 * 400


def test_5_percent_are_seen_with_15_pairs() -> None:
    """A slowdown of 5 % in 2 % noise is called worse in at least 95 of 100 experiments."""
    assert [n.change for n in experiments(0.05, 200)].count(Change.WORSE) >= 190


def test_pairs_beat_halves_on_a_drifting_machine() -> None:
    """The same numbers without their blocks show less: the drift is in both spreads."""
    rng = np.random.default_rng(4)
    a, b = drifting(rng, 15, 0.03)
    paired = compare(a, b)[0].ratio
    apart, _ = unpaired_ratio(a.numbers.value.to_list(), b.numbers.value.to_list())
    assert width(paired) < width(apart) / 2


def test_two_runs_pair_where_their_blocks_took_turns() -> None:
    """A minute apart each they pair; one run after the other they do not, nor if nobody knows."""
    rng = np.random.default_rng(4)
    a, b = (side(name, np.exp(rng.normal(0, NOISE, 8)), name) for name in "ab")
    for lag, is_paired in ((1, True), (30, False), (None, False)):
        (number,) = compare(at_minutes(a, 0 if lag else None), at_minutes(b, lag))
        assert ("paired ratio" in number.ratio.method) == is_paired


def at_minutes(of: Side, first: int | None) -> Side:
    """Let a side's blocks begin two minutes apart from a minute on; None: nobody knows when."""
    begins = [
        "" if first is None else f"2026-01-01T10:{first + 2 * block:02d}:00"
        for block in of.numbers.block
    ]
    return replace(of, numbers=of.numbers.assign(started_utc=begins))


def test_a_larger_number_is_worse_only_where_less_is_better() -> None:
    """Throughput that rises is better; a makespan that rises is worse."""
    a, b = side("a", np.full(8, 1.0), "r", "a"), side("b", np.full(8, 2.0), "r", "b")
    assert compare(a, b)[0].change == Change.WORSE
    rates = [replace(s, numbers=s.numbers.assign(metric="throughput_per_s")) for s in (a, b)]
    assert compare(rates[0], rates[1], metrics=["throughput_per_s"])[0].change == Change.BETTER


def test_measured_noise_hides_what_lies_within_it() -> None:
    """Where equal halves of a run differ by 10 %, 8 % are no finding, however narrow."""
    rng = np.random.default_rng(5)
    a, b = drifting(rng, 30, 0.08)
    assert compare(a, b)[0].change == Change.WORSE
    assert compare(a, b, noise=Noise(paired=0.15, apart=0.0))[0].change == Change.TIE
    assert compare(a, b, noise=Noise(paired=0.0, apart=0.15))[0].change == Change.WORSE


def test_few_trials_or_nothing_in_common_give_no_verdict() -> None:
    """Three trials make no interval; numbers of different cells are never compared."""
    few = [side(n, np.full(3, float(v)), n) for n, v in (("a", 1), ("b", 9))]
    assert compare(few[0], few[1])[0].change == Change.INCONCLUSIVE
    other = replace(few[1], numbers=few[1].numbers.assign(nodes=2))
    with pytest.raises(RefusedError, match="a and b have no usable metric in common"):
        compare(few[0], other)


def test_a_run_against_itself_tells_the_noise() -> None:
    """Halves of a run with 10 % spread differ by several percent and are seldom called so."""
    rng = np.random.default_rng(6)
    run = side("run", np.exp(rng.normal(0, 0.1, 40)), "run")
    for is_paired in (True, False):
        found = aa.measure(run, is_paired=is_paired)
        assert found.comparisons == found.splits == aa.SPLITS
        assert found.false_alarms <= 3
        assert 0.02 < found.smallest_effect < 0.15
        with pytest.raises(RefusedError, match="has 4 blocks; an A/A test needs 10"):
            aa.measure(side("run", np.ones(4), "run"), is_paired=is_paired)


def test_neighbouring_blocks_pair_and_share_the_drift() -> None:
    """On a machine that slows by half pairs see a percent; a lost trial takes its pair along."""
    drift = np.exp(np.linspace(0, 0.4, 41) + np.random.default_rng(7).normal(0, 0.01, 41))
    run = side("run", drift, "run")
    holed = replace(run, numbers=run.numbers.drop(index=[3, 8, 9]))
    assert aa.measure(holed, is_paired=True).smallest_effect < 0.02
    assert aa.measure(holed, is_paired=False).smallest_effect > 0.05


def tables_of(plan: campaigns.Campaign) -> dict[str, pd.DataFrame]:
    """Make the tables of a made-up campaign, to be changed by a test."""
    return dict(campaigns.campaign.__wrapped__(plan))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two made-up runs; in the second every system costs a third more."""
    folder = tmp_path_factory.mktemp("results")
    slower = tuple(replace(system, cost_s=1.33 * system.cost_s) for system in SMALL.systems)
    plans = {"first": SMALL, "second": replace(SMALL, systems=slower, seed=8)}
    for name, plan in plans.items():
        tables = tables_of(plan)
        commit = {"first": "b", "second": "c"}[name] * 40
        tables["campaign"] = tables["campaign"].assign(git_commit=commit, git_dirty="0")
        campaigns.write(tables, folder / "runs" / name)
    return folder


def test_runs_and_commits_are_found_and_a_slowdown_ends_in_4(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same finding by run and by commit; the other way round it is an improvement."""
    for a, b in (("first", "second"), ("b" * 7, "c" * 12)):
        assert main(["compare", a, b, "--results", str(results), "--format", "json"]) == 4
        told = json.loads(capsys.readouterr().out)
        noop = [n for n in told["compared"] if n["cell"]["workload"] == "noop"]
        assert {n["change"] for n in noop if n["metric"] == "worker_s_per_task"} == {"worse"}
    assert main(["compare", "second", "first", "--results", str(results)]) == 0
    threshold = ["--threshold", "60"]
    assert main(["compare", "first", "second", "--results", str(results), *threshold]) == 0


def test_what_looks_worse_and_is_undecided_is_measured_again_with_twice_the_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """METHOD M30: once, only what looks worse, and the larger measurement decides."""
    many = {name: side(name, np.full(6, cost), "run") for name, cost in (("1", 1.0), ("2", 2.0))}
    few = {f"{name}few": replace(s, numbers=s.numbers[:3]) for name, s in many.items()}
    monkeypatch.setattr("lab.comparison.inputs.find", lambda name, *_: (many | few)[name])

    def compared(*measured: tuple[str, str]) -> tuple[int, list[int]]:
        left = iter(measured)
        asked: list[int] = []

        def measure(_: object, pairs: int, *_more: object) -> list[Path]:
            asked.append(pairs)
            return [Path(name) for name in next(left)]

        monkeypatch.setattr("lab.comparison.interleaved.measure", measure)
        return main(["compare", "A", "B", "--pairs", "3", "--results", str(tmp_path)]), asked

    assert compared(("1few", "2few"), ("1", "2")) == (4, [3, 6])
    assert compared(("1few", "2few"), ("1", "1")) == (0, [3, 6])
    assert compared(("1few", "2few"), ("1few", "2few")) == (0, [3, 6])
    assert compared(("2few", "1few")) == (0, [3])
    assert compared(("1", "2")) == (4, [3])


def test_two_backends_of_a_run_are_paired(results: Path) -> None:
    """Blocks of one campaign pair, and a backend's short name is enough where it is one row."""
    a, b = (
        inputs.find(name, results, results / "runs/first") for name in ("asyncio", "rq[worker]")
    )
    found = compare(a, b, ["makespan_s"])
    assert found
    assert all("paired ratio" in number.ratio.method for number in found)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'asyncio\[tasks\]@default'"):
        inputs.find("asyncio[task]", results)


def test_another_machine_is_refused_until_told(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the fact that differs."""
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
    ("arguments", "words"),
    [
        (["first"], "needs two sides"),
        (["first", "second", "--format", "jsn"], "Did you mean 'json'"),
        (["first", "second", "--metric", "makespan"], "Did you mean 'makespan_s'"),
        (["first", "secnd"], "Unknown run, measured commit, or backend of second 'secnd'"),
    ],
)
def test_what_cannot_be_understood_is_told(
    arguments: list[str], words: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, exit code 2."""
    assert main(["compare", "--results", str(results), *arguments]) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_null_is_kept_for_later_comparisons(tmp_path: Path) -> None:
    """What --null measured is the noise of the next comparison; a damaged file is told."""
    two = [system for system in SMALL.systems if system.backend != "rq"]
    tables = tables_of(replace(SMALL, systems=two, cores=(1,), blocks=10))
    run = campaigns.write(tables, tmp_path / "runs" / "run")
    results = ["--results", str(tmp_path)]
    assert main(["compare", "--null", str(run), *results]) == 0
    (kept,) = (tmp_path / "null").iterdir()
    told = json.loads(kept.read_text())
    assert 0 < told["paired"] < 0.2
    assert 0 < told["apart"] < 0.2
    kept.write_text("{")
    assert main(["compare", "asyncio", "inline", *results]) == 2


def test_markdown_cannot_be_broken_by_a_name() -> None:
    """A hostile label stays text in a pull request."""
    a, b = (side(n, np.full(8, float(v)), "r", "<img src=x>|@all") for n, v in (("a", 1), ("b", 2)))
    told = render.write(compare(a, b), "a", "<b>", "markdown")
    assert "<img" not in told
    assert "<b>" not in told
    assert "@all" not in told
    assert "&lt;img src=x>&#124;&#64;all" in told


def test_runs_of_one_commit_count_together(results: Path, tmp_path: Path) -> None:
    """Two runs of a commit give their trials to one side; a dirty run gives none."""
    for name, dirty in (("one", "0"), ("two", "0"), ("three", "1")):
        tables = tables_of(replace(SMALL, blocks=2))
        tables["campaign"] = tables["campaign"].assign(git_commit="d" * 40, git_dirty=dirty)
        campaigns.write(tables, tmp_path / "runs" / name)
    one = inputs.find("one", tmp_path)
    assert len(inputs.find("d" * 8, tmp_path).numbers) == 2 * len(one.numbers)
    assert Store(results / "runs/first").read("campaign").git_dirty.iloc[0] == "0"
