"""KAT-9: steps in made-up histories are found, and none is where there is none (METHOD M32)."""

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
from lab.history.detectors import NEAR, Status, asv_steps, e_divisive, vote
from lab.history.run_index import History, Measured
from lab.results import formats
from lab.results.store import Store
from tests.factories import campaigns

NOISE, FLAT, BEFORE = 0.02, 60, 30
BACKENDS = ("<b>hostile</b>", "steady")


def flat(n: int, series: int, spread: Callable[..., Any]) -> np.ndarray:
    """Return curves in which nothing changes, a row a curve."""
    return np.exp(NOISE * np.asarray(spread((series, n))))


def stepped(after: int, size: float, series: int) -> np.ndarray:
    """Return curves that rise by `size` after `BEFORE` points and stay there for `after`."""
    rng = np.random.default_rng(9)
    curves = np.exp(rng.normal(0, NOISE, (series, BEFORE + after)))
    curves[:, BEFORE:] *= 1 + size
    return curves


def test_kat_9_false_alarms_are_at_most_one_percent_on_normal_noise() -> None:
    """400 flat curves of 60 commits: each detector by itself, and so the vote, keeps the level."""
    rng = np.random.default_rng(1)
    curves = flat(FLAT, 400, lambda shape: rng.normal(size=shape))
    assert np.mean([bool(e_divisive(np.log(curve))) for curve in curves]) <= 0.01
    assert np.mean([bool(asv_steps(list(curve))) for curve in curves[:100]]) <= 0.01


def test_kat_9_ten_percent_are_seen_after_three_commits() -> None:
    """In 2 % noise the fast sensor sees a step of 10 % in at least 90 of 100 curves."""
    seen = [
        any(abs(at - BEFORE) <= NEAR for at in e_divisive(np.log(c))) for c in stepped(3, 0.1, 200)
    ]
    assert np.mean(seen) >= 0.9


def test_heavy_tails_raise_no_alarm() -> None:
    """One detector alone may err on outliers; both together do not."""
    rng = np.random.default_rng(2)
    curves = flat(FLAT, 60, lambda shape: rng.standard_t(3, size=shape))
    assert not any(step.status == Status.ALARM for curve in curves for step in vote(list(curve)))


def test_both_make_an_alarm_and_one_a_watch() -> None:
    """Three commits after a step of 10 % it is mostly watched; after twenty both see it."""
    early, late = ([vote(list(c)) for c in stepped(k, 0.1, 20)] for k in (3, 20))
    watched = [found[-1] for found in early if found]
    assert len(watched) >= 18
    assert [step.status for step in watched].count(Status.WATCH) > len(watched) / 2
    for step in watched:
        assert (step.status == Status.ALARM) == (step.detector == "e-divisive and asv")
    alarms = [step for found in late for step in found if step.status == Status.ALARM]
    assert len(alarms) >= 15
    for step in alarms:
        assert abs(step.at - BEFORE) <= NEAR
        assert step.magnitude == pytest.approx(0.1, abs=0.03)
        assert step.detector == "e-divisive and asv"
        assert step.p < 1e-4


def test_a_short_history_raises_no_alarm() -> None:
    """Both detectors see a doubling in twelve commits; an alarm takes thirty."""
    (step,) = vote([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 2.0, 2.01, 1.99, 2.0, 2.02, 1.98])
    assert (step.at, step.status, step.detector) == (6, Status.WATCH, "e-divisive and asv")
    assert vote([1.0, 2.0]) == []


@pytest.fixture(scope="module")
def history() -> History:
    """Forty commits; from the thirtieth on one of two systems costs 30 % more."""
    rng = np.random.default_rng(3)
    commits = [f"{n:040x}" for n in range(40)]
    return History(
        runs=tuple(run_of(commit, rng, n >= 30) for n, commit in enumerate(commits)),
        dates_ms={commit: n for n, commit in enumerate(commits)},
        line=frozenset(commits),
        refused={},
    )


def run_of(commit: str, rng: np.random.Generator, slow: bool) -> Measured:
    """Make what is left of a run in the history: five trials of two systems."""
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
    return Measured(commit, {"cpu.model": "one"}, "f" * 16, numbers, pd.Timestamp("2026-01-01"))


def test_a_step_is_a_row_and_stands_on_the_page(history: History, tmp_path: Path) -> None:
    """The commit, the levels and the curve are there; a name is text, and nothing is loaded."""
    found = change_points.find(history, {})
    (one,) = found.changes
    assert (one.row.commit, one.row.commit_before) == (f"{30:040x}", f"{29:040x}")
    assert one.row.status == Status.ALARM
    assert one.row.magnitude == pytest.approx(0.3, abs=0.03)
    assert (found.n_series, found.n_commits) == (2, 40)
    written = page.write(found, tmp_path / "history", tmp_path)
    text = written.read_text()
    assert "&lt;b&gt;hostile" in text
    assert "<b>hostile" not in text
    assert not re.findall(r"""(?:src|href)=|url\(|@import""", text)
    table = written.with_name("changepoint.csv")
    rows = formats.from_csv("changepoint", table.read_bytes(), table)
    assert rows.commit.tolist() == [one.row.commit]


def test_other_software_starts_a_new_curve(history: History) -> None:
    """A step that comes with another fingerprint is no step: it is another machine's curve."""
    runs = [
        replace(run, fingerprint_id="e" * 16) if n >= 30 else run
        for n, run in enumerate(history.runs)
    ]
    assert change_points.find(replace(history, runs=tuple(runs)), {}).changes == []


def test_a_branch_beside_the_line_is_no_step(history: History) -> None:
    """What was measured on commits that HEAD does not descend from is in no curve."""
    beside = frozenset(run.commit for run in history.runs[30:])
    found = change_points.find(replace(history, line=history.line - beside), {})
    assert (found.changes, found.n_commits) == ([], 30)


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ("https://github.com/o/lab.git", "https://github.com/o/lab/commit/abc"),
        ("https://user:token@forge.example/o/lab", "https://forge.example/o/lab/commit/abc"),
        ("git@github.com:o/lab.git", "https://github.com/o/lab/commit/abc"),
        ("/srv/lab.git", ""),
    ],
)
def test_commits_are_linked_where_their_forge_is_known(
    tmp_path: Path, origin: str, address: str
) -> None:
    """A token in an address stays at home, and a path on a disk is no address."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", origin], check=True)
    found = page.commit_address(tmp_path)
    assert (f"{found}abc" if found else "") == address


def test_a_run_folder_is_read_as_the_history_wants_it(tmp_path: Path) -> None:
    """Failed trials and those of no benchmark are told from good ones."""
    from lab.history.samples import numbers, samples

    few = tuple(s for s in campaigns.SYSTEMS if s.backend in {"inline", "rq"})
    failed = ("rq[worker]@default",)
    plan = campaigns.Campaign(few, workloads=("noop",), burst_tasks=100, failed=failed)
    store = Store(campaigns.write(dict(campaigns.campaign(plan)), tmp_path / "run"))
    found = samples(numbers(store))["quick.NoopBurst.track_makespan_s"]
    assert found["rq[worker]@default", 1, 1] is None
    assert len(found["inline[call]@default", 1, 1] or ()) in {4, 5}
    assert ("inline[call]@default", 2, 1) not in found
