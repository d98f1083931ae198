"""Tests that disturbed trials run again, but not so often that the campaign takes much longer."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic_ns
from typing import Any

import pytest

from lab.analysis import compute
from lab.campaign import run_folder, runner
from lab.core.model import Arrival, Burst, Flag, RateProbe
from lab.driver import instrumentation_cost
from lab.environments import preparation
from lab.planning.plan import Plan
from lab.recording import host_counters
from lab.results.store import Store
from lab.running import host_baselines
from lab.running.trial import TrialObservation
from lab.validation import disturbance
from tests.factories.trials import spec_of


class SilentListener:
    """An observer that ignores all events."""

    def begin(self, *_: object) -> None:
        """Ignore an event."""

    trial = phase = row = note = between_blocks = begin


@pytest.mark.parametrize(
    ("arrivals", "expected"),
    [
        # After the first trial, two of three attempts were repeated: more than a quarter.
        ([Burst(20), Burst(21), Burst(22)], [3, 1, 1]),
        # The search for capacity repeats disturbed probes itself.
        ([RateProbe(20, 200.0), RateProbe(20, 100.0)], [1, 1]),
    ],
)
def test_on_a_machine_that_is_always_disturbed_few_trials_run_again(
    arrivals: list[Arrival],
    expected: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every attempt has a row with its flag, and a trial has at most two reruns."""
    observed = disturbance.observed

    def disturbed(outcome: TrialObservation, *, has_hits: bool) -> disturbance.Disturbance | None:
        seen = observed(outcome, has_hits=has_hits)
        return seen and replace(seen, cpu_taken=0.9, resolution=0.0)

    monkeypatch.setattr(disturbance, "observed", disturbed)
    specs = [spec_of("inline", arrival=kind) for kind in arrivals]
    run = run_folder.Run(Plan(tuple(specs), ()), "quick", seed=1, reruns=2, command="lab bench")
    rows = runner.execute(run_folder.create(tmp_path, run), run, SilentListener())
    assert {row.flag for row in rows} == {Flag.DISTURBED}
    assert [sum(row.trial_id == spec.id for row in rows) for spec in specs] == expected


def test_the_time_between_two_blocks_is_reported(tmp_path: Path) -> None:
    """All trials of a block have their rows by then, and no process of the next one runs."""
    specs = [spec_of("inline", arrival=Burst(20 + n), block=n // 2) for n in range(6)]
    run = run_folder.Run(Plan(tuple(specs), ()), "quick", seed=1, reruns=0, command="lab bench")
    store = run_folder.create(tmp_path, run)
    seen: list[tuple[int, int]] = []

    class Watch(SilentListener):
        def between_blocks(self, *_: object) -> None:
            folders = len(list((store.folder / "trials").iterdir()))
            seen.append((len(store.read("trial")), folders))

    runner.execute(store, run, Watch())
    assert seen == [(2, 2), (4, 4)]


def test_host_baselines_are_not_measured_again_for_each_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of a probe is no block: it has the instrumentation cost of the block before."""
    measured: list[int] = []

    def measure(_specs: object, _campaign_id: str, block: int) -> tuple[()]:
        measured.append(block)
        return ()

    monkeypatch.setattr(host_baselines, "measure_baselines", measure)
    monkeypatch.setattr(instrumentation_cost, "cost_ns", iter([1_000.0, 2_000.0]).__next__)
    kinds: list[tuple[Arrival, int]] = [
        (Burst(20), 0),
        (RateProbe(20, 200.0), 1),
        (RateProbe(20, 100.0), 2),
        (Burst(21), 1),
    ]
    specs = [spec_of("inline", arrival=kind, block=block) for kind, block in kinds]
    run = run_folder.Run(Plan(tuple(specs), ()), "quick", seed=1, reruns=0, command="lab bench")
    rows = runner.execute(run_folder.create(tmp_path, run), run, SilentListener())
    assert measured == [0, 1]
    assert [row.instrumentation_ns for row in rows] == [1_000.0, 1_000.0, 1_000.0, 2_000.0]


def test_each_interpreter_has_a_cost_in_each_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environments of one interpreter share it, and that of the lab is measured without one."""
    measured: list[tuple[str, ...]] = []

    def cost_ns(*interpreter: Any) -> float:
        measured.append(interpreter[:1])
        return 1_000.0 + len(measured)

    def of_trial(_: str, text: str) -> preparation.Interpreter:
        return preparation.Interpreter(sys.executable, tmp_path / text if text else None)

    monkeypatch.setattr(instrumentation_cost, "cost_ns", cost_ns)
    monkeypatch.setattr(preparation, "of_trial", of_trial)
    texts = ("", "3.9", "3.9 + a==1", "3.9", "")
    specs = [
        spec_of("inline", arrival=Burst(20 + n), environment=text, block=n // 3)
        for n, text in enumerate(texts)
    ]
    run = run_folder.Run(Plan(tuple(specs), ()), "quick", seed=1, reruns=0, command="lab bench")
    rows = runner.execute(run_folder.create(tmp_path, run), run, SilentListener())
    assert measured == [(), (sys.executable,), (sys.executable,), ()]
    assert [row.instrumentation_ns for row in rows] == [1_001.0, 1_002.0, 1_002.0, 1_003.0, 1_004.0]


def test_no_work_of_the_lab_overlaps_a_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calibration, baselines, rows, pages and progress end before the next window opens."""
    spans: list[tuple[str, int, int]] = []

    def timed(name: str, function: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            begin_ns = monotonic_ns()
            try:
                return function(*args, **options)
            finally:
                spans.append((name, begin_ns, monotonic_ns()))

        return call

    class Watch(SilentListener):
        row = timed("row", SilentListener.row)
        between_blocks = timed("between_blocks", SilentListener.row)

    works = [
        (host_counters, "calibrate"),
        (instrumentation_cost, "cost_ns"),
        (runner, "collect"),
        (compute, "compute"),
        (Store, "append"),
        (Store, "write_parquet"),
    ]
    for owner, name in works:
        monkeypatch.setattr(owner, name, timed(name, getattr(owner, name)))
    measure = host_baselines.measure_baselines
    # As a list, because the original computes its rows one by one.
    baselines = timed("baselines", lambda *values: [*measure(*values)])
    monkeypatch.setattr(host_baselines, "measure_baselines", baselines)
    specs = [spec_of("inline", arrival=Burst(40 + n), block=n // 2) for n in range(4)]
    run = run_folder.Run(Plan(tuple(specs), ()), "quick", seed=1, reruns=0, command="lab bench")
    rows = runner.execute(run_folder.create(tmp_path, run), run, Watch())
    windows = [(row.t_begin_ns or 0, row.t_end_ns or 0) for row in rows]
    assert all(begin < end for begin, end in windows)
    assert {name for name, *_ in spans} == {
        *(name for _, name in works),
        *("baselines", "row", "between_blocks"),
    }
    overlaps = [
        (name, window)
        for name, begin, end in spans
        for window in windows
        if begin < window[1] and window[0] < end
    ]
    assert overlaps == []
