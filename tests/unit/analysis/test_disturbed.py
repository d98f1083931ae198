"""Tests that disturbed trials have a number where no other counts, and that nothing ranks it."""

from __future__ import annotations

from typing import Any

from lab.analysis.disturbed import disturbed_estimates
from lab.analysis.estimates import estimates
from lab.analysis.queries import Tables, trial_values
from lab.core.model import Flag
from lab.report.overview import lines
from lab.report.summary import summary
from lab.report.verdict import verdict
from lab.results.schema import EstimateRow
from tests.factories.campaigns import Campaign, campaign, typed

WHY = "other processes took 28.0 % of the CPUs of the workers"


def judged(label: str) -> tuple[Tables, list[EstimateRow]]:
    """Return a campaign whose trials of one label were disturbed, and its further estimates."""
    tables: dict[str, Any] = dict(campaign(Campaign(blocks=5)))
    trials, metrics = tables["trial"].copy(), tables["metric"].copy()
    ours = trials["label"] == label
    trials.loc[ours & (trials["status"] == "ok"), ["flag", "flag_reasons"]] = Flag.DISTURBED, WHY
    of_these = metrics["trial_id"].isin(trials[ours]["trial_id"])
    metrics.loc[of_these, "is_valid"] = 0
    headlines = estimates(trials, metrics, "c", with_noisy=True)
    more = disturbed_estimates(trials, metrics, "c", headlines)
    table = typed("estimate", [*headlines, *more])
    return {**tables, "trial": trials, "metric": metrics, "estimate": table}, more


RQ = "rq[worker]@default"


def test_cells_without_a_trial_that_counts_have_a_second_estimate() -> None:
    """Other cells have none: their disturbed trials are not mixed with those that count."""
    _, more = judged(RQ)
    assert {row.label for row in more} == {RQ}
    assert {row.analysis_id for row in more} == {"c/disturbed"}
    assert all(row.estimate is not None and row.n_trials for row in more)


def test_the_number_is_shown_in_brackets_with_its_reason_and_without_a_value() -> None:
    """Without a value, nothing sorts or compares it."""
    tables, _ = judged(RQ)
    shown = [row for row in summary(tables) if row.label == RQ]
    number = shown[0].numbers["throughput"]
    assert number.text.startswith("(")
    assert number.value is None
    assert WHY in number.note
    last = [row.label for row in summary(tables) if row.workload == shown[0].workload][-1]
    assert last == RQ
    (line,) = (line for line in lines(tables) if line.label == RQ)
    assert any(number.text.startswith("(") and number.value is None for number in line.numbers)


def test_no_ranking_uses_it() -> None:
    """The verdict and the values of figures and comparisons leave it out."""
    best = "thread-pool[executor]@default"
    tables, _ = judged(best)
    assert "thread-pool " not in verdict(tables)
    assert best not in set(trial_values(tables, "throughput_per_s")["label"])
