"""Tests that a comparison says which metrics it leaves out and why, and explains their names."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lab.analysis.metrics.registry import METRICS
from lab.cli import examples
from lab.cli.main import main
from lab.comparison import inputs, render
from lab.comparison.compare import compare
from lab.comparison.headlines import HEADLINES
from lab.comparison.inputs import Side
from lab.comparison.not_compared import not_compared
from lab.comparison.numbers import measured, numbers_of
from lab.core.errors import UnknownNameError, UsageError
from tests.factories import campaigns
from tests.unit.comparison.test_compare import side

ROOT = Path(__file__).parents[3]
PLAN = campaigns.Campaign(
    blocks=3,
    systems=tuple(s for s in campaigns.SYSTEMS if s.backend in {"inline", "asyncio", "rq"}),
    workloads=("noop",),
    paced_tasks=40,
)


def without(side: Side, why: str) -> Side:
    """Return a side whose only metric has no number that may be compared."""
    unusable = side.numbers[["metric"]].assign(why=why)
    return replace(side, numbers=side.numbers.head(0), unusable=unusable)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a run of three backends, and one with other trials."""
    folder = tmp_path_factory.mktemp("results")
    tables = campaigns.campaign(PLAN)
    campaigns.write(tables, folder / "runs" / "one")
    campaigns.write(campaigns.campaign(replace(PLAN, blocks=2)), folder / "runs" / "two")
    return folder


def test_a_metric_that_is_left_out_has_its_reason() -> None:
    """Not measured, refused, disturbed, or measured in other cases only."""
    a, b = (side(name, np.ones(3), name) for name in ("one", "two"))
    name = "worker_s_per_task"
    assert not_compared(a, b, [name], [name]) == ""
    few = without(a, "p99 needs 662 tasks")
    assert not_compared(few, b, [], [name]) == f"Not compared: {name} (one: p99 needs 662 tasks)."
    both = not_compared(few, without(b, "p99 needs 662 tasks"), [], [name, "makespan_s"])
    assert both == (
        f"Not compared: {name} (on both sides: p99 needs 662 tasks); "
        "makespan_s (on both sides: not measured)."
    )
    other = replace(b, numbers=b.numbers.assign(nodes=2))
    assert "not in the same case" in not_compared(a, other, [], [name])


def test_a_comparison_of_runs_names_what_it_leaves_out(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both the terminal and its sentence: 40 tasks have no p99, and no trial a round trip."""
    assert main(["compare", "one", "two", "--results", str(results)]) in {0, 4}
    shown = " ".join(capsys.readouterr().err.split())
    assert "Not compared: " in shown
    assert "queue_latency_s_p99 (on both sides: p99 needs 662 tasks" in shown
    assert re.search(r"round_trip_s_p50[^(]* \(on both sides: not measured\)", shown)


def test_a_refused_number_without_a_reason_is_not_compared() -> None:
    """A table of others may lack the reason, the bound or the mark of a number."""
    tables = campaigns.campaign(PLAN)
    numbers = tables["metric"].head(4).assign(value=1.0, is_valid=1, bound="", method="mean")
    numbers = numbers.assign(
        is_valid=pd.Series([0, pd.NA, 1, 1], numbers.index, dtype="object"),
        bound=pd.Series(["", "", pd.NA, ""], numbers.index, dtype="object"),
        method=["", "mean", "mean", "mean"],
    )
    trials = tables["trial"].assign(flag="ok")
    assert len(numbers_of(trials, numbers)) == 1
    why = measured(trials, numbers)["why"].tolist()
    assert why == ["refused", "mean", "only a bound is known", ""]


def test_different_numbers_of_trials_are_remarked() -> None:
    """The means of the two sides are of different numbers of trials."""
    compared = compare(side("a", np.ones(8), "a"), side("b", np.ones(6), "b"))
    assert "In 1 of them A and B have different numbers of trials, such as 8 and 6." in (
        render.verdict(compared, "a", "b")
    )
    same = compare(side("a", np.ones(8), "a"), side("b", np.ones(8), "b"))
    assert "different numbers" not in render.verdict(same, "a", "b")


def test_a_typo_is_named_before_a_side_without_numbers(results: Path) -> None:
    """Also if the first name is a backend that the run lacks; the typo has a suggestion."""
    for names in (["django-q", "celry"], ["celry", "django-q"], ["rq", "celry"]):
        with pytest.raises(UnknownNameError, match=r"'celry'\. Did you mean 'celery'"):
            inputs.find_sides(names, results)
    with pytest.raises(UsageError, match=r"two has no trial of django-q\. It has: ") as error:
        inputs.find_sides(["asyncio", "django-q"], results)
    assert "lab bench -b asyncio -b django-q" in str(error.value)
    assert "has both" not in str(error.value)


def test_an_older_run_that_has_both_sides_is_named(results: Path, tmp_path: Path) -> None:
    """The latest run often has one side only, and the numbers are there."""
    results = shutil.copytree(results, tmp_path / "results")
    latest = campaigns.write(
        campaigns.campaign(replace(PLAN, systems=PLAN.systems[:1])), results / "runs" / "zzz"
    )
    with pytest.raises(UsageError) as error:
        inputs.find_sides(["rq", "asyncio"], results)
    text = str(error.value)
    assert text.startswith(f"{latest.name} has no trial of rq.")
    assert "Measure both sides in one run: lab bench -b rq -b asyncio" in text
    assert "two has both: lab compare rq asyncio --run two" in text


def test_the_headline_metrics_are_explained() -> None:
    """In the help and in the glossary; each is a metric."""
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert set(HEADLINES) <= METRICS.keys()
    for name in HEADLINES:
        assert f"`{name}`" in glossary
        assert f"  {name} " in examples.of("compare")


def test_the_next_step_names_the_function_of_the_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stored run calls no function that the command line does not name."""
    tables = campaigns.campaign(PLAN)
    trials: pd.DataFrame = tables["trial"].assign(workload="shop:resize", flag="disturbed")
    campaigns.write({**tables, "trial": trials}, tmp_path / "runs" / "mine")
    assert main(["compare", "mine", "mine", "--results", str(tmp_path)]) == 3
    assert "lab bench --like mine --task shop:resize" in capsys.readouterr().err
