"""Tests the detection of change points on synthetic series with known answers (M32, KAT-9)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lab.history import change_points, page
from lab.history.detectors import NEAR, ChangeStatus, asv_steps, e_divisive, vote
from lab.history.run_index import CommitRun, History
from lab.planning.presets import QUICK
from lab.results import formats
from lab.results.store import Store
from tests.factories import campaigns

NOISE, FLAT, BEFORE = 0.02, 60, 30
BACKENDS = ("<b>hostile</b>", "steady")


def flat(n: int, series: int, spread: Callable[..., Any]) -> np.ndarray:
    """Return curves without a change point, one per row."""
    return np.exp(NOISE * np.asarray(spread((series, n))))


def stepped(after: int, size: float, series: int) -> np.ndarray:
    """Return curves that rise by the factor 1 + `size` after `BEFORE` points, one per row.

    The new level lasts for `after` points.
    """
    rng = np.random.default_rng(9)
    curves = np.exp(rng.normal(0, NOISE, (series, BEFORE + after)))
    curves[:, BEFORE:] *= 1 + size
    return curves


def test_kat_9_false_alarms_are_at_most_one_percent_on_normal_noise() -> None:
    """On flat curves of 60 commits, each detector, and so their vote, has at most 1 % alarms."""
    rng = np.random.default_rng(1)
    curves = flat(FLAT, 400, lambda shape: rng.normal(size=shape))
    assert np.mean([bool(e_divisive(np.log(curve))) for curve in curves]) <= 0.01
    assert np.mean([bool(asv_steps(list(curve))) for curve in curves[:100]]) <= 0.01


def test_kat_9_e_divisive_detects_ten_percent_after_three_commits() -> None:
    """In 2 % noise, E-divisive detects a change of 10 % in at least 90 % of the curves."""
    detected = [
        any(abs(at - BEFORE) <= NEAR for at in e_divisive(np.log(c))) for c in stepped(3, 0.1, 200)
    ]
    assert np.mean(detected) >= 0.9


def test_vote_raises_no_alarm_on_heavy_tails() -> None:
    """A single detector may react to outliers; the vote does not."""
    rng = np.random.default_rng(2)
    curves = flat(FLAT, 60, lambda shape: rng.standard_t(3, size=shape))
    assert not any(
        step.status == ChangeStatus.ALARM for curve in curves for step in vote(list(curve))
    )


def test_vote_is_an_alarm_if_both_detectors_agree_else_a_watch() -> None:
    """Three commits after a change of 10 %, most votes are watches; after twenty, alarms."""
    early, late = ([vote(list(c)) for c in stepped(k, 0.1, 20)] for k in (3, 20))
    watched = [steps[-1] for steps in early if steps]
    assert len(watched) >= 18
    assert [step.status for step in watched].count(ChangeStatus.WATCH) > len(watched) / 2
    for step in watched:
        assert (step.status == ChangeStatus.ALARM) == (step.detector == "e-divisive and asv")
    alarms = [step for steps in late for step in steps if step.status == ChangeStatus.ALARM]
    assert len(alarms) >= 15
    for step in alarms:
        assert abs(step.at - BEFORE) <= NEAR
        assert step.magnitude == pytest.approx(0.1, abs=0.03)
        assert step.detector == "e-divisive and asv"
        assert step.p < 1e-4


def test_vote_raises_no_alarm_in_a_short_series() -> None:
    """Both detectors detect a doubling in twelve commits; an alarm needs thirty."""
    (step,) = vote([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 2.0, 2.01, 1.99, 2.0, 2.02, 1.98])
    assert (step.at, step.status, step.detector) == (6, ChangeStatus.WATCH, "e-divisive and asv")
    assert vote([1.0, 2.0]) == []


@pytest.fixture(scope="module")
def history() -> History:
    """Forty commits; from the thirtieth on, the cost of one of two backends is 30 % higher."""
    rng = np.random.default_rng(3)
    commits = [f"{n:040x}" for n in range(40)]
    return History(
        runs=tuple(run_of(commit, rng, n >= 30) for n, commit in enumerate(commits)),
        dates_ms={commit: n for n, commit in enumerate(commits)},
        line=frozenset(commits),
        refused={},
    )


def run_of(commit: str, rng: np.random.Generator, slow: bool) -> CommitRun:
    """Return the part of a run that the history reads: five trials of each of two backends."""
    numbers = pd.DataFrame(
        {
            "provider": "local",
            "backend": np.repeat(BACKENDS, 5),
            "cores": 1,
            "nodes": 1,
            "benchmark": "quick.NoopBurst.track_worker_s_per_task",
            "trial_id": [f"{n}" for n in range(10)],
            "value": 1e-4 * np.exp(rng.normal(0, NOISE, 10)),
            "is_good": True,
            "has_failed": False,
        }
    )
    numbers.loc[numbers.backend == BACKENDS[0], "value"] *= 1.3 if slow else 1.0
    return CommitRun(commit, {"cpu.model": "one"}, "f" * 16, numbers, pd.Timestamp("2026-01-01"))


def test_find_returns_the_change_point_and_the_page_shows_it(
    history: History, tmp_path: Path
) -> None:
    """The row has the commits and the change; the page escapes names and loads nothing."""
    result = change_points.find_change_points(history, {})
    (change,) = result.changes
    assert (change.row.commit, change.row.commit_before) == (f"{30:040x}", f"{29:040x}")
    assert change.row.status == ChangeStatus.ALARM
    assert change.row.magnitude == pytest.approx(0.3, abs=0.03)
    assert (result.n_series, result.n_commits) == (2, 40)
    written = page.write(result, tmp_path / "history", tmp_path)
    text = written.read_text()
    assert "&lt;b&gt;hostile" in text
    assert "<b>hostile" not in text
    assert not re.findall(r"""(?:src|href)=|url\(|@import""", text)
    table = written.with_name("changepoint.csv")
    rows = formats.from_csv("changepoint", table.read_bytes(), table)
    assert rows.commit.tolist() == [change.row.commit]


def test_find_starts_a_new_series_at_another_fingerprint(history: History) -> None:
    """A change of the level together with the fingerprint is not a change point."""
    runs = [
        replace(run, fingerprint_id="e" * 16) if n >= 30 else run
        for n, run in enumerate(history.runs)
    ]
    assert change_points.find_change_points(replace(history, runs=tuple(runs)), {}).changes == []


def test_find_ignores_commits_of_other_branches(history: History) -> None:
    """Runs of commits that are not ancestors of HEAD are in no series."""
    branch = frozenset(run.commit for run in history.runs[30:])
    result = change_points.find_change_points(replace(history, line=history.line - branch), {})
    assert (result.changes, result.n_commits) == ([], 30)


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ("https://github.com/o/lab.git", "https://github.com/o/lab/commit/abc"),
        ("https://user:token@forge.example/o/lab", "https://forge.example/o/lab/commit/abc"),
        ("git@github.com:o/lab.git", "https://github.com/o/lab/commit/abc"),
        ("/srv/lab.git", ""),
    ],
)
def test_commit_address_is_derived_from_the_origin(
    tmp_path: Path, origin: str, address: str
) -> None:
    """The address contains no credentials of the origin; a path on a disk has no address."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", origin], check=True)
    prefix = page.commit_address(tmp_path)
    assert (f"{prefix}abc" if prefix else "") == address


def test_samples_separate_failed_cells_from_absent_ones(tmp_path: Path) -> None:
    """A cell of failed trials is None, a cell without a benchmark is absent."""
    from lab.history.samples import samples, samples_of_run

    few = tuple(s for s in campaigns.SYSTEMS if s.backend in {"inline", "rq"})
    burst = next(case.arrival for case in QUICK if case.arrival.kind == "burst")
    failed = ("rq[worker]@default",)
    plan = campaigns.Campaign(few, workloads=("noop",), burst_tasks=burst.n_tasks, failed=failed)
    store = Store(campaigns.write(dict(campaigns.campaign(plan)), tmp_path / "run"))
    values = samples(samples_of_run(store))["quick.NoopBurst.track_makespan_s"]
    assert values["rq[worker]@default", 1, 1] is None
    assert len(values["inline[call]@default", 1, 1] or ()) in {4, 5}
    assert ("inline[call]@default", 2, 1) not in values
