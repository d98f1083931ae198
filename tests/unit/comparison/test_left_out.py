"""Tests that a comparison says which trials it leaves out, why, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from lab.cli.main import main
from lab.comparison import inputs
from lab.comparison.left_out import left_out
from lab.core.errors import UnknownNameError
from tests.factories import campaigns
from tests.factories.versions import in_versions

PLAN = campaigns.Campaign(
    blocks=3,
    systems=tuple(s for s in campaigns.SYSTEMS if s.backend in {"inline", "asyncio", "rq"}),
    workloads=("noop",),
    paced_tasks=40,
)
RQ = "rq[worker]@default"


def written(folder: Path, name: str, *labels: str) -> None:
    """Write a run in which all trials of these labels, by default of all, were disturbed."""
    tables = campaigns.campaign(PLAN)
    label = tables["trial"]["label"]
    write_disturbed(folder / "runs" / name, tables, label.isin(labels or set(label)))


def write_disturbed(
    folder: Path, tables: Mapping[str, pd.DataFrame], is_disturbed: pd.Series[bool]
) -> None:
    """Write a run in which some of its trials, one truth value for each, were disturbed."""
    trials = tables["trial"]
    trials = trials.assign(flag=trials["flag"].mask(is_disturbed, "disturbed"))
    metrics = tables["metric"]
    ids = set(trials[is_disturbed]["trial_id"])
    metrics = metrics.assign(is_valid=metrics["is_valid"].mask(metrics["trial_id"].isin(ids), 0))
    changed = {**tables, "trial": trials, "metric": metrics}
    campaigns.write(changed, folder)


def test_trials_are_counted_by_the_reason_why_they_are_left_out() -> None:
    """The first count has its total; a run in which all trials count has no text."""
    states = pd.Series(["disturbed", "ok", "failed", "disturbed", "noisy"])
    assert left_out(states) == "2 of 5 trials were disturbed, 1 failed"
    assert left_out(states[states == "ok"]) == ""
    assert left_out(pd.Series(["skipped"])) == "1 of 1 trial was skipped"


def test_a_system_whose_trials_were_all_disturbed_is_no_unknown_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its numbers are shown in brackets; the message counts its trials and has the next step."""
    written(tmp_path, "busy", RQ)
    assert main(["compare", "rq[worker]", "asyncio", "--results", str(tmp_path)]) == 3
    output = capsys.readouterr()
    assert f"Disturbed, in brackets, and therefore not judged: A = {RQ}, B = " in output.out
    (row,) = (line for line in output.out.splitlines() if "worker_s_per_task" in line)
    assert re.search(r"│\(\d.* ms\) │\d.* us │\(0\.0\d+\)", row), row
    assert "worse" not in output.out
    assert "better" not in output.out
    shown = " ".join(output.err.split())
    assert f"of {RQ}, 9 of 9 trials were disturbed" in shown
    assert "lab bench --like busy" in shown
    assert "lab doctor" in shown
    assert "Unknown" not in shown


@pytest.mark.parametrize("labels", [(), (RQ,)])
def test_a_typo_has_a_suggestion_whatever_was_disturbed(
    tmp_path: Path, labels: tuple[str, ...]
) -> None:
    """Also a typo in a short name, which is part of a label only."""
    written(tmp_path, "busy", *labels)
    for typed in ("rqq", "rq[wroker]"):
        with pytest.raises(
            UnknownNameError, match=r"Did you mean .*'rq\[worker\]@default'"
        ) as error:
            inputs.find_side(typed, tmp_path)
        assert "Known: asyncio[event-loop]@default, " in str(error.value)


def test_two_disturbed_runs_have_nothing_to_compare_because_they_were_disturbed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both sides are counted, and the next step is a quieter machine."""
    for name in ("one", "two"):
        written(tmp_path, name)
    assert main(["compare", "one", "two", "--results", str(tmp_path)]) == 3
    shown = " ".join(capsys.readouterr().err.split())
    assert "no usable metric in common" in shown
    for name in ("one", "two"):
        assert f"of {name}, 30 of 30 trials were disturbed" in shown
    assert "lab doctor" in shown


def test_a_comparison_names_the_trials_that_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table is shown if some trials count, and a sentence counts the others."""
    written(tmp_path, "quiet", "nothing")
    written(tmp_path, "busy", RQ)
    assert main(["compare", "quiet", "busy", "--results", str(tmp_path)]) == 0
    assert "Left out of busy: 9 of 30 trials were disturbed." in capsys.readouterr().err


def test_disturbed_environments_are_shown_and_never_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers of disturbed trials are in brackets; others are compared, and the rest is counted."""
    tables = in_versions(
        campaigns.campaign(PLAN), "rq", {"rq==2.9": 1.0, "rq==2.10": 1.0, "rq==3": 1.3}
    )
    environment = tables["trial"]["environment"]
    write_disturbed(tmp_path / "runs/busy", tables, environment != "rq==2.9")
    write_disturbed(tmp_path / "runs/half", tables, environment == "rq==3")
    command = ["compare", "--by", "environment", "--results", str(tmp_path)]
    command += ["--metric", "overhead_s_per_task"]
    assert main([*command, "busy"]) == 3
    output = capsys.readouterr()
    for other in ("rq==2.10", "rq==3"):
        assert f"therefore not judged: A = rq==2.9, B = {other}" in " ".join(output.out.split())
    row, *_ = (line for line in output.out.splitlines() if "overhead_s_per_task" in line)
    assert re.search(r"│\d.* ms +│\(\d.* ms\) +│\(\d\.\d+\)", row), row
    shown = " ".join(output.err.split())
    assert "has usable trials of fewer than two values of environment: 24 of 36" in shown
    assert "lab bench --like busy" in shown
    assert main([*command, "half"]) == 0
    output = capsys.readouterr()
    assert "B = rq==2.10: 0 worse" in output.out
    assert "rq==3" not in output.out
    assert re.search(r"Left out of half: \d+ of \d+ trials were disturbed", output.err)
