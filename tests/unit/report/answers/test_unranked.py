"""Tests that an answer names the trials that were measured but disturbed."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lab.analysis.disturbed import disturbed_estimates
from lab.analysis.estimates import estimates
from lab.figures import Tables
from lab.report import page
from lab.report.answers import answers
from lab.report.answers.answer import QuestionAnswer
from tests.factories.campaigns import SYNTHETIC, SYSTEMS, Campaign, campaign, typed

FEW = tuple(s for s in SYSTEMS if s.variant in {"call", "executor", "worker"})
BLOCKS = 6
RQ = "rq[worker]@default"


def disturbed(*labels: str) -> Tables:
    """Return a campaign in which all trials of these labels were disturbed."""
    tables = campaign(Campaign(systems=FEW, blocks=BLOCKS, workloads=("noop",), cores=(1,)))
    trials = tables["trial"]
    flags = trials["flag"].mask(trials["label"].isin(labels), "disturbed")
    trials = trials.assign(flag=flags)
    ids = set(trials[trials["flag"] == "disturbed"]["trial_id"])
    metrics = tables["metric"]
    metrics = metrics.assign(is_valid=metrics["is_valid"].mask(metrics["trial_id"].isin(ids), 0))
    rows: list[Any] = estimates(trials, metrics, SYNTHETIC, with_noisy=True)
    rows += disturbed_estimates(trials, metrics, SYNTHETIC, rows)
    return {**tables, "trial": trials, "metric": metrics, "estimate": typed("estimate", rows)}


def by_name(tables: Tables) -> dict[str, QuestionAnswer]:
    """Return the answers by the name of their question."""
    return {answered.question.name: answered for answered in answers(tables)}


def test_a_system_that_was_disturbed_is_named_beside_the_answer() -> None:
    """The others are ranked; lost tasks are counted in disturbed trials as well."""
    answered = by_name(disturbed(RQ))
    for name in ("overhead", "latency"):
        assert answered[name].said
        assert RQ.partition("[")[0] not in answered[name].said[0].text
        assert answered[name].disturbed == f"{BLOCKS} trials of rq"
    assert answered["lost"].disturbed == ""
    assert answered["memory"].disturbed == ""


def test_a_run_that_was_disturbed_has_measured_its_answers() -> None:
    """Its page says so, and a question that was not asked is still not measured."""
    tables = disturbed(*(f"{s.backend}[{s.variant}]@default" for s in FEW))
    answered = by_name(tables)
    assert answered["overhead"].said == []
    assert answered["overhead"].disturbed.startswith(f"{len(FEW) * BLOCKS} trials of ")
    assert answered["idle"].disturbed == ""
    text = page.render(tables, {})
    assert text.count("Measured, but disturbed, and therefore not ranked: ") == sum(
        bool(answer.disturbed) for answer in answered.values()
    )
    assert f"lab bench --like {SYNTHETIC}" in text


def test_no_answer_of_a_quiet_run_mentions_disturbances(synthetic: Tables) -> None:
    """Noisy trials count."""
    quiet: pd.DataFrame = synthetic["trial"]
    quiet = quiet.assign(flag=quiet["flag"].mask(quiet["flag"] == "disturbed", "noisy"))
    assert not any(a.disturbed for a in answers({**synthetic, "trial": quiet}))
