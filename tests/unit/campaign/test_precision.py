"""Tests the rule that stops a cell: KAT-17, its coverage, and that it depends on nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.analysis import compute
from lab.analysis.statistics import INTERVAL_FLOOR, interval
from lab.campaign import run_folder, runner
from lab.campaign.precision import EXTRA_BLOCKS, FEWEST_BLOCKS, blocks_needed, half_width
from lab.core.errors import ExitCode
from lab.core.model import Burst, Status, TrialSpec
from lab.driver import instrumentation_cost
from lab.planning.plan import Plan
from lab.results.schema import PARQUET_TABLES, TrialRow
from lab.results.schema.metric import MetricRow
from lab.running import host_baselines, trial
from lab.running.trial import TrialObservation
from lab.validation.trial_row import Context, TrialResult, unrecorded
from tests.conftest import RunCli
from tests.factories.trials import spec_of
from tests.unit.campaign.test_runner import SilentListener

PRECISION = 0.05
MOST_BLOCKS = 30
# Spreads between blocks from "stops at once" to "runs all blocks"; those in between are the worst.
SPREADS = (0.02, 0.05, 0.07, 0.08, 0.1, 0.12, 0.2)
REPEATS = 2_000


def stopped(values: Sequence[float]) -> Sequence[float]:
    """Return the values that a campaign with the rule has."""
    return values[: blocks_needed(values, PRECISION) or len(values)]


def covers(values: Sequence[float]) -> bool:
    """Return whether the interval contains the true value, 1."""
    estimate = interval(values)
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low <= 1.0 <= estimate.high


@pytest.mark.parametrize("spread", SPREADS)
def test_kat_17_the_interval_covers_the_truth_although_its_width_decided(spread: float) -> None:
    """A 95 % interval covers the truth in 93 to 97 % of the simulated experiments."""
    rng = np.random.default_rng(17)
    covered = sum(
        covers(stopped(np.exp(rng.normal(0.0, spread, MOST_BLOCKS)).tolist()))
        for _ in range(REPEATS)
    )
    assert 0.93 <= covered / REPEATS <= 0.97


def test_kat_17_without_the_extra_blocks_the_interval_covers_less_often() -> None:
    """The first narrow interval is often narrow by chance; two more blocks repair some of that."""
    rng = np.random.default_rng(17)
    without, with_extra = 0, 0
    for _ in range(REPEATS):
        values = np.exp(rng.normal(0.0, 0.09, MOST_BLOCKS)).tolist()
        n = blocks_needed(values, PRECISION)
        without += covers(values[: n - EXTRA_BLOCKS] if n else values)
        with_extra += covers(stopped(values))
    assert without / REPEATS < with_extra / REPEATS - 0.005


def test_the_rule_needs_an_interval_and_then_two_more_blocks() -> None:
    """Equal values stop at the earliest number of blocks; a wide spread never stops."""
    assert FEWEST_BLOCKS == INTERVAL_FLOOR + EXTRA_BLOCKS
    assert blocks_needed([1.0] * (INTERVAL_FLOOR - 1), PRECISION) is None
    assert blocks_needed([1.0] * INTERVAL_FLOOR, PRECISION) == FEWEST_BLOCKS
    assert blocks_needed([1.0, 2.0] * 10, PRECISION) is None
    assert half_width(interval([1.0, 2.0])) == float("inf")


def campaign(folder: Path, blocks: int) -> tuple[Any, run_folder.Run]:
    """Return a run of two cells with the rule."""
    specs = tuple(
        spec_of("inline", arrival=Burst(n), block=block)
        for block in range(blocks)
        for n in (20, 21)
    )
    settings = (Plan(specs, ()), "quick", 1, 0, "lab bench", None, PRECISION)
    run = run_folder.Run(*settings)
    return run_folder.create(folder, run), run


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give one cell a constant throughput, and the other one that doubles every second block."""

    def metrics_of_trial(_: object, values: Any) -> list[MetricRow]:
        row = TrialRow(*values)
        value = 100.0 * (1 + row.block % 2) if row.n_planned == 21 else 100.0
        facts = (row.trial_id, row.attempt, "throughput_per_s", value, "", "1/s", 20, "made up", 1)
        return [MetricRow(*facts)]

    monkeypatch.setattr(compute, "metrics_of_trial", metrics_of_trial)


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace each trial by an empty one, and its block's baselines by none: only `numbers` decide.

    A trial that runs takes 0.4 s of CPU time, and its metrics would be replaced anyway.
    """

    def run_trial(spec: TrialSpec, attempt: int, folder: Path, *_: object) -> TrialObservation:
        folder.mkdir(parents=True)
        return TrialObservation(spec, attempt, folder, trial.place(spec), 0, "")

    def collect(outcome: TrialObservation, context: Context) -> TrialResult:
        return TrialResult(unrecorded(outcome, context), dict.fromkeys(PARQUET_TABLES, ()))

    monkeypatch.setattr(trial, "run_trial", run_trial)
    monkeypatch.setattr(runner, "collect", collect)
    monkeypatch.setattr(instrumentation_cost, "cost_ns", lambda: None)
    monkeypatch.setattr(host_baselines, "measure_baselines", lambda *_: ())


@pytest.mark.usefixtures("numbers", "instant")
def test_a_cell_stops_between_two_blocks_and_a_resumed_run_goes_on_with_the_rule(
    tmp_path: Path,
) -> None:
    """The trials that it does not need are rows with the reason; the other cell runs to the end."""
    store, run = campaign(tmp_path, FEWEST_BLOCKS + 2)
    rows = runner.execute(store, run, SilentListener())
    ran = Counter(row.n_planned for row in rows if row.status == Status.OK)
    assert ran == {20: FEWEST_BLOCKS, 21: FEWEST_BLOCKS + 2}
    skipped = [row for row in rows if row.status == Status.SKIPPED]
    assert [(row.n_planned, row.block) for row in skipped] == [(20, 7), (20, 8)]
    assert len({row.reason for row in skipped}) == 1
    assert "--precision 5.000% needs no further trial" in skipped[0].reason
    _, resumed = run_folder.load(store.folder)
    assert resumed.precision == PRECISION
    assert runner.execute(store, resumed, SilentListener()) == []


@pytest.mark.usefixtures("numbers", "instant")
def test_without_the_option_all_blocks_run(tmp_path: Path) -> None:
    """The rule is part of the plan, and a plan without it is as before."""
    store, run = campaign(tmp_path, FEWEST_BLOCKS + 1)
    rows = runner.execute(
        store, run_folder.Run(run.plan, "quick", 1, 0, "lab bench"), SilentListener()
    )
    assert {row.status for row in rows} == {Status.OK}


def test_the_option_needs_enough_blocks(run_cli: RunCli) -> None:
    """A run that could never stop early is refused with what to add."""
    options = ("bench", "-b", "inline", "--provider", "local", "--dry-run", "--precision", "5%")
    refused = run_cli(*options)
    assert refused.returncode == ExitCode.USAGE
    assert "Add --blocks 21, the largest number" in refused.stderr
    planned = run_cli(*options, "--blocks", "10", "-w", "noop")
    assert planned.returncode == ExitCode.FINE
    assert "At most " in planned.stdout
