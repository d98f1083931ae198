"""Tests the estimates over trials: with noisy trials, and without."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lab.analysis.estimates import estimates
from lab.analysis.statistics import interval, proportion
from lab.core.model import Flag, Status
from lab.results import formats
from lab.results.schema import EstimateRow
from lab.results.schema.metric import MetricRow
from tests.factories.rows import blank_cell

CELL = blank_cell() | {"label": "x[y]@default", "arrival": "paced", "rate_hz": 10.0}


def campaign(*trials: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the tables of trials with one metric each; the default is a valid trial of value 1."""
    plain = {
        "attempt": 1, "status": "ok", "flag": "ok",
        "value": 1.0, "bound": "", "method": "", "metric": "m",
    } | CELL  # fmt: skip
    rows = pd.DataFrame([{"trial_id": str(i)} | plain | row for i, row in enumerate(trials)])
    usable = (rows["flag"] != "invalid") & rows["status"].isin([Status.OK, Status.TIMEOUT])
    rows["is_valid"] = (usable & rows["value"].notna()).astype("int64")
    rows["rate_hz"] = rows["rate_hz"].astype("Float64")
    rows["value"] = rows["value"].astype("Float64")
    measured = [f.name for f in fields(MetricRow) if f.name not in {"unit", "n"}]
    of_trial = ["trial_id", "attempt", "status", "flag", *CELL]
    return rows[of_trial].drop_duplicates(), rows[measured].assign(unit="s", n=9)


def estimate(*trials: dict[str, Any], with_noisy: bool = True) -> EstimateRow:
    """Return the estimate of trials of one cell."""
    rows = estimates(*campaign(*trials), "c", with_noisy=with_noisy)
    assert len(rows) == 1
    return rows[0]


def test_an_estimate_is_the_interval_of_its_trials_values() -> None:
    """The unit of statistics is the trial (METHOD M9)."""
    values = [1.0, 1.1, 0.9, 1.05, 0.95]
    row = estimate(*({"value": v} for v in values))
    expected = interval(values)
    assert (row.estimate, row.ci_low, row.ci_high) == (
        expected.value, expected.low, expected.high,
    )  # fmt: skip
    assert (row.n_trials, row.n_noisy, row.n_excluded) == (5, 0, 0)
    assert (row.analysis_id, row.metric, row.unit, row.rate_hz) == ("c", "m", "s", 10.0)


def test_three_blocks_have_no_interval() -> None:
    """The quick preset is a smoke test, whose results have no interval (METHOD M2)."""
    row = estimate({}, {}, {})
    assert (row.estimate, row.ci_low, row.ci_high) == (1.0, None, None)
    assert "3 trials: no interval" in row.method


def test_unusable_trials_are_excluded_and_counted() -> None:
    """Invalid, failed and refused trials do not change the estimate."""
    bad: list[dict[str, Any]] = [
        {"flag": "invalid", "value": 99.0},
        {"status": "failed", "value": 99.0},
        {"value": None, "method": "p99 needs 662 tasks"},
    ]
    row = estimate({}, *bad, {"status": "timeout", "bound": ">"})
    assert (row.estimate, row.n_trials, row.n_excluded) == (1.0, 2, 3)


def test_a_failed_trial_without_metrics_is_counted() -> None:
    """A trial that failed before its first metric is among the excluded trials."""
    trials, metrics = campaign({}, {}, {"status": "failed"})
    rows = estimates(trials, metrics[:2], "c", with_noisy=True)
    assert [(row.n_trials, row.n_excluded) for row in rows] == [(2, 1)]


def test_noisy_trials_are_in_the_first_headline_and_not_in_the_second() -> None:
    """The report shows both (METHOD M23); a noisy trial is not counted as excluded."""
    rows: list[dict[str, Any]] = [{}, {}, {"flag": Flag.NOISY, "value": 8.0}]
    first, second = estimate(*rows), estimate(*rows, with_noisy=False)
    assert first.estimate == pytest.approx(2.0)
    assert (first.n_trials, first.n_noisy) == (3, 1)
    assert (second.estimate, second.n_trials, second.n_noisy) == (1.0, 2, 0)
    assert first.n_excluded == second.n_excluded == 0


def test_only_the_last_attempt_of_a_trial_is_used() -> None:
    """An invalid first attempt with a second attempt is neither used nor counted."""
    again = {"trial_id": "a", "attempt": 2, "value": 3.0}
    row = estimate(again, {"trial_id": "a", "flag": "invalid", "value": 99.0})
    assert row.estimate == pytest.approx(3.0)
    assert (row.n_trials, row.n_excluded) == (1, 0)


def test_lower_bounds_give_a_lower_bound_without_an_interval() -> None:
    """Five values of which one is ">x" have no interval, however close they are."""
    row = estimate(*[{}] * 4, {"bound": ">"})
    assert (row.bound, row.ci_low, row.ci_high) == (">", None, None)
    assert "1 of 5 trials are lower bounds: no interval" in row.method


def test_a_cell_without_a_usable_trial_has_the_reason() -> None:
    """Its row has no estimate, and the reason of the first refusal."""
    row = estimate({"value": None, "method": "p99 needs 662 tasks"}, {"flag": "invalid"})
    assert (row.estimate, row.n_trials, row.n_excluded) == (None, 0, 2)
    assert row.method == "no trial can be used: p99 needs 662 tasks"


def test_estimates_of_varying_trials_are_unstable() -> None:
    """A variation above 10 % is stated in the method of the estimate (METHOD M23)."""
    assert "unstable: trials vary by 20%" in estimate({"value": 0.8}, {}, {"value": 1.2}).method
    assert "unstable" not in estimate({"value": 0.95}, {}, {"value": 1.05}).method


def shares(*trials: tuple[int, int, str]) -> EstimateRow:
    """Return the estimate of a share from k, n and bound of each trial."""
    rows = [{"metric": "lost_silent_ratio", "value": k / n, "bound": b} for k, n, b in trials]
    table, metrics = campaign(*rows)
    metrics["n"] = [n for _, n, _ in trials]
    return estimates(table, metrics, "c", with_noisy=True)[0]


def test_the_estimate_of_a_share_adds_the_tasks_of_all_trials() -> None:
    """Three of 400 tasks, with the interval of Clopper and Pearson (METHOD M28)."""
    row, expected = shares((0, 100, ""), (3, 200, ""), (0, 100, "")), proportion(3, 400)
    assert (row.estimate, row.ci_low, row.ci_high) == (
        expected.value, expected.low, expected.high,
    )  # fmt: skip
    assert row.n_trials == 3
    assert row.method == "3 of 400; Clopper-Pearson, two-sided, over 3 trials"


def test_a_share_of_zero_has_an_upper_bound() -> None:
    """0 of 1,000 tasks lost means fewer than 3.69 / n (METHOD M28)."""
    row = shares((0, 500, ""), (0, 500, ""))
    assert (row.estimate, row.ci_low) == (0.0, 0.0)
    assert row.ci_high == pytest.approx(3.69 / 1_000, rel=0.01)


def test_a_share_with_unknown_tasks_has_no_upper_end() -> None:
    """They may still turn out to be lost."""
    row = shares((1, 100, ">"), (0, 100, ""))
    assert (row.estimate, row.bound, row.ci_high) == (0.005, ">", None)
    assert row.ci_low == proportion(1, 200).low
    assert "tasks are unknown: no upper end" in row.method


def test_cells_do_not_mix() -> None:
    """Each label, rate, topology and fault has a separate estimate; so has a missing rate."""
    rows: list[dict[str, Any]] = [
        {"rate_hz": None, "value": 4.0},
        {"rate_hz": None, "value": 4.0},
        {"rate_hz": 20.0},
        {"label": "z[y]@default"},
        {"nodes": 2},
        {"fault": "worker-kill"},
        {"fault": "none"},
        {"metric": "other", "trial_id": "0", "rate_hz": None},
    ]
    estimated = estimates(*campaign(*rows), "c", with_noisy=True)
    without_rate = [row for row in estimated if row.rate_hz is None and row.metric == "m"]
    assert [row.n_trials for row in without_rate] == [2]
    assert len(estimated) == 7


def test_rows_fit_the_table(tmp_path: Path) -> None:
    """Estimates can be written and read back."""
    rows = estimates(*campaign({}, {"rate_hz": None}), "c", with_noisy=True)
    written = formats.to_csv("estimate", rows, tmp_path, header=True)
    read = formats.from_csv("estimate", written, tmp_path)
    assert read["estimate"].tolist() == [row.estimate for row in rows]
    assert read["rate_hz"].isna().sum() == 1
