"""Tests the Bencher Metric Format of a run against its schema, and the names of its benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lab.cli.main import main
from lab.core.errors import ExitCode, NothingSelectedError
from lab.publishing import bencher
from tests.factories import campaigns

SMALL = campaigns.SMALL


def exported(tables: Any) -> dict[str, dict[str, dict[str, float]]]:
    """Return the parsed text, after the checks of the format's schema (bmf.json, version 0)."""
    content: dict[str, dict[str, dict[str, float]]] = json.loads(bencher.text(tables))
    assert content
    for name, measures in content.items():
        assert 0 < len(name) <= 1024
        for measure, numbers in measures.items():
            assert 0 < len(measure) <= 64
            assert {"value"} <= numbers.keys() <= {"value", "lower_value", "upper_value"}
            assert all(isinstance(number, float) for number in numbers.values())
    return content


def test_every_headline_estimate_is_a_measure_of_its_cell() -> None:
    """With its interval; the numbers without noisy trials are another analysis."""
    tables = campaigns.campaign(SMALL)
    content = exported(tables)
    estimates = tables["estimate"]
    headline = estimates[(estimates.analysis_id == campaigns.SYNTHETIC) & (estimates.bound == "")]
    headline = headline.dropna(subset=["estimate"])
    assert sum(map(len, content.values())) == len(headline)
    name = "thread-pool[executor]@default noop arrival=burst"
    (benchmark,) = (n for n in content if n.startswith(name) and "cores_per_node=2" in n)
    row = headline[
        (headline.label == "thread-pool[executor]@default")
        & (headline.metric == "throughput_per_s")
        & (headline.workload == "noop")
        & (headline.cores_per_node == 2)
    ].iloc[0]
    ends = {"lower_value": row.ci_low, "upper_value": row.ci_high}
    assert content[benchmark]["throughput_per_s"] == {"value": row.estimate, **ends}


def test_a_refused_number_and_a_bound_are_left_out() -> None:
    """The format has no mark for either."""
    tables = dict(campaigns.campaign(SMALL))
    estimates = tables["estimate"]
    is_rate = estimates.metric == "throughput_per_s"
    tables["estimate"] = estimates.assign(
        bound=estimates.bound.mask(estimates.metric == "makespan_s", ">"),
        estimate=estimates.estimate.mask(is_rate, pd.NA),
    )
    measures = {name for of_cell in exported(tables).values() for name in of_cell}
    assert not measures & {"makespan_s", "throughput_per_s"}


def test_the_name_has_the_duration_of_a_calibrated_task() -> None:
    """Its size differs between two runs of one plan, and would begin a new curve."""
    names = exported(campaigns.campaign(SMALL))
    assert any(" cpu:1000us " in name for name in names)
    assert not any("16000" in name for name in names)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--format", "bmv"], ExitCode.USAGE, "Did you mean 'bmf'"),
        (["--format", "bmf", "--to", "x"], ExitCode.USAGE, "writes to standard output"),
        (["--format", "bmf"], ExitCode.FINE, ""),
    ],
)
def test_the_command_prints_it(
    words: list[str],
    code: ExitCode,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only JSON is on standard output, so that it can be redirected."""
    run = campaigns.write(campaigns.campaign(SMALL), tmp_path / "runs" / "run")
    assert main(["publish", str(run), *words, "--results", str(tmp_path)]) == code
    captured = capsys.readouterr()
    assert message in " ".join(captured.err.split())
    assert bool(captured.out) == (code == ExitCode.FINE)
    if captured.out:
        assert json.loads(captured.out)


def test_a_run_in_which_no_trial_counts_is_an_error() -> None:
    """An empty object would look like a report in which every benchmark is missing."""
    tables = campaigns.campaign(SMALL)
    with pytest.raises(NothingSelectedError, match="no trial counts"):
        bencher.text({**tables, "estimate": tables["estimate"].iloc[:0]})
