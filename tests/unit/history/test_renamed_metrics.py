"""Tests that a series goes on when its metric gets another name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from lab.history import run_index
from lab.history.export import export
from lab.history.suite import benchmarks, present_name
from lab.planning.presets import QUICK
from lab.results import convert_1
from tests.factories import campaigns

FORMER, PRESENT = "burst_length_s", "makespan_s"
BENCHMARK = f"quick.NoopBurst.track_{PRESENT}"
BURST = next(cell.arrival for cell in QUICK if cell.arrival.kind == "burst")
SMALL = campaigns.Campaign(
    blocks=1,
    systems=campaigns.SYSTEMS[:1],
    workloads=("noop",),
    rates_hz=(),
    burst_tasks=BURST.n_tasks,
)


def git(folder: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    command = ("git", "-C", str(folder), *identity, *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of schema 1.10 of a lab in which a metric had another name, in a repository."""
    monkeypatch.setitem(convert_1.METRICS, FORMER, PRESENT)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    tables = dict(campaigns.campaign(SMALL))
    tables["campaign"] = tables["campaign"].assign(
        git_commit=git(tmp_path, "rev-parse", "HEAD"), git_dirty="0", schema_version="1.10"
    )
    folder = tmp_path / "results" / "runs" / "run"
    campaigns.write(tables, folder)
    metrics = folder / "metric.csv"
    assert f",{PRESENT}," in metrics.read_text()
    metrics.write_text(metrics.read_text().replace(f",{PRESENT},", f",{FORMER},"))
    return tmp_path / "results"


def exported(results: Path) -> dict[str, dict[str, object]]:
    """Export all runs; return the results of each file of one commit, by file name."""
    export(results, run_index.read(results, results.parent))
    files = [f for f in (results / "asv").glob("*/*.json") if f.name != "machine.json"]
    return {file.name: json.loads(file.read_text())["results"] for file in files}


def test_runs_before_the_renaming_are_in_the_same_series(results: Path) -> None:
    """The run is not changed; its numbers have the present name."""
    (contents,) = exported(results).values()
    assert BENCHMARK in contents
    assert not any(FORMER in name for name in contents)
    assert FORMER in (results / "runs" / "run" / "metric.csv").read_text()


def test_files_of_asv_run_get_present_names(results: Path) -> None:
    """A file without a renamed metric is copied byte for byte."""
    exported(results)
    machine = next((results / "asv").glob("*/machine.json")).parent
    row = [[1.0], [["'inline[call]@default'"], ["1"], ["1"]]]
    content = {"env_name": "virtualenv-py3.11", "result_columns": ["result", "params"]}
    names = {"renamed": BENCHMARK.replace(PRESENT, FORMER), "same": f"{BENCHMARK}x"}
    texts = {
        name: json.dumps({**content, "results": {benchmark: row}}, indent=3)
        for name, benchmark in names.items()
    }
    for name, text in texts.items():
        (machine / f"{name}.json").write_text(text)
    contents = exported(results)
    assert contents["renamed.json"] == {BENCHMARK: row}
    assert (machine / "same.json").read_text() == texts["same"]


def test_present_names_are_unchanged() -> None:
    """Today's benchmarks have no former name."""
    names = [benchmark.name for benchmark in benchmarks()]
    assert [present_name(name) for name in names] == names
    assert "quick.NoopBurst.track_makespan_s" in names
    assert "standard.NoopRoundtrip.track_round_trip_s_p50" in names
