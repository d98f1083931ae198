"""The estimates over trials: the headline and the second one."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lab.analysis.estimates import estimates
from lab.analysis.statistics import interval
from lab.core.model import Flag, Status
from lab.results import formats
from lab.results.schema import EstimateRow, MetricRow

CELL = {
    "workload": "noop", "size": 0, "arrival": "paced", "nodes": 1, "cores_per_node": 2,
    "workers_per_node": 2,
    "quota_cpus": 0.0,
    "gaps": "poisson",
    "schedule": "",
    "shape": None,
    "n_planned": 100,
    "provider": "local",
}  # fmt: skip


def campaign(*trials: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the tables of trials with one metric each; defaults are a sound trial of value 1."""
    plain = {
        "attempt": 1, "label": "x[y]@default", "rate_hz": 10.0, "status": "ok", "flag": "ok",
        "value": 1.0, "bound": "", "method": "", "metric": "m",
    } | CELL  # fmt: skip
    rows = pd.DataFrame([{"trial_id": str(i)} | plain | row for i, row in enumerate(trials)])
    usable = (rows["flag"] != "invalid") & rows["status"].isin([Status.OK, Status.TIMEOUT])
    rows["is_valid"] = (usable & rows["value"].notna()).astype("int64")
    rows["rate_hz"] = rows["rate_hz"].astype("Float64")
    rows["value"] = rows["value"].astype("Float64")
    measured = [f.name for f in fields(MetricRow) if f.name not in {"unit", "n"}]
    of_trial = ["trial_id", "attempt", "label", "rate_hz", "status", "flag", *CELL]
    return rows[of_trial].drop_duplicates(), rows[measured].assign(unit="s", n=9)


def estimate(*trials: dict[str, Any], with_noisy: bool = True) -> EstimateRow:
    """Make the one estimate of trials of one cell."""
    rows = estimates(*campaign(*trials), "c", with_noisy=with_noisy)
    assert len(rows) == 1
    return rows[0]


def test_an_estimate_is_the_interval_of_its_trials_values() -> None:
    """The unit of statistics is the trial (METHOD M9)."""
    values = [1.0, 1.1, 0.9, 1.05, 0.95]
    found, expected = estimate(*({"value": v} for v in values)), interval(values)
    assert (found.estimate, found.ci_low, found.ci_high) == (
        expected.value, expected.low, expected.high,
    )  # fmt: skip
    assert (found.n_trials, found.n_noisy, found.n_excluded) == (5, 0, 0)
    assert (found.analysis_id, found.metric, found.unit, found.rate_hz) == ("c", "m", "s", 10.0)


def test_three_blocks_carry_no_interval() -> None:
    """The quick preset is a smoke test, and smoke results carry no interval (METHOD M2)."""
    found = estimate({}, {}, {})
    assert (found.estimate, found.ci_low, found.ci_high) == (1.0, None, None)
    assert "3 trials: no interval" in found.method


def test_trials_that_cannot_be_used_are_left_out_and_counted() -> None:
    """Invalid, failed, refused: none of them moves the estimate, all of them are told."""
    bad: list[dict[str, Any]] = [
        {"flag": "invalid", "value": 99.0},
        {"status": "failed", "value": 99.0},
        {"value": None, "method": "p99 needs 662 tasks"},
    ]
    found = estimate({}, *bad, {"status": "timeout", "bound": ">"})
    assert (found.estimate, found.n_trials, found.n_excluded) == (1.0, 2, 3)


def test_a_failed_trial_without_any_number_is_counted_too() -> None:
    """A trial that died before its first metric is missing from the estimate, not from its row."""
    trials, metrics = campaign({}, {}, {"status": "failed"})
    found = estimates(trials, metrics[:2], "c", with_noisy=True)
    assert [(row.n_trials, row.n_excluded) for row in found] == [(2, 1)]


def test_noisy_trials_are_in_the_first_headline_and_not_in_the_second() -> None:
    """The report shows both (METHOD M23); a noisy trial is not an excluded one."""
    rows: list[dict[str, Any]] = [{}, {}, {"flag": Flag.NOISY, "value": 8.0}]
    first, second = estimate(*rows), estimate(*rows, with_noisy=False)
    assert first.estimate == pytest.approx(2.0)
    assert (first.n_trials, first.n_noisy) == (3, 1)
    assert (second.estimate, second.n_trials, second.n_noisy) == (1.0, 2, 0)
    assert first.n_excluded == second.n_excluded == 0


def test_of_each_trial_the_last_attempt_counts() -> None:
    """An invalid first attempt that was run again is neither used nor counted."""
    again = {"trial_id": "a", "attempt": 2, "value": 3.0}
    found = estimate(again, {"trial_id": "a", "flag": "invalid", "value": 99.0})
    assert found.estimate == pytest.approx(3.0)
    assert (found.n_trials, found.n_excluded) == (1, 0)


def test_lower_bounds_make_a_lower_bound_without_an_interval() -> None:
    """Five values of which one is ">x" have no interval, however close they are."""
    found = estimate(*[{}] * 4, {"bound": ">"})
    assert (found.bound, found.ci_low, found.ci_high) == (">", None, None)
    assert "1 of 5 trials are lower bounds: no interval" in found.method


def test_a_cell_of_which_nothing_can_be_used_says_why() -> None:
    """It is a row without an estimate, with the first refusal."""
    found = estimate({"value": None, "method": "p99 needs 662 tasks"}, {"flag": "invalid"})
    assert (found.estimate, found.n_trials, found.n_excluded) == (None, 0, 2)
    assert found.method == "no trial can be used: p99 needs 662 tasks"


def test_trials_that_vary_are_called_unstable() -> None:
    """More than 10 % between trials is said beside the number (METHOD M23)."""
    assert "unstable: trials vary by 20%" in estimate({"value": 0.8}, {}, {"value": 1.2}).method
    assert "unstable" not in estimate({"value": 0.95}, {}, {"value": 1.05}).method


def test_cells_do_not_mix() -> None:
    """Each label, rate and topology has an estimate of its own; no rate is a cell as well."""
    rows: list[dict[str, Any]] = [
        {"rate_hz": None, "value": 4.0},
        {"rate_hz": None, "value": 4.0},
        {"rate_hz": 20.0},
        {"label": "z[y]@default"},
        {"nodes": 2},
        {"metric": "other", "trial_id": "0", "rate_hz": None},
    ]
    found = estimates(*campaign(*rows), "c", with_noisy=True)
    assert [row.n_trials for row in found if row.rate_hz is None and row.metric == "m"] == [2]
    assert len(found) == 5


def test_rows_fit_the_table(tmp_path: Path) -> None:
    """What is estimated can be written and read back."""
    rows = estimates(*campaign({}, {"rate_hz": None}), "c", with_noisy=True)
    written = formats.to_csv("estimate", rows, tmp_path, header=True)
    read = formats.from_csv("estimate", written, tmp_path)
    assert read["estimate"].tolist() == [row.estimate for row in rows]
    assert read["rate_hz"].isna().sum() == 1
