"""A run as a package for others: valid, whole, free of traps; and a row of it measured again."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest
from frictionless import Package

from lab.cli.main import main
from lab.figures.history import OVER_TIME
from lab.publishing import reproduce
from lab.results.schema import CSV_TABLES, PARQUET_TABLES
from tests.factories import campaigns

ROOT = Path(__file__).parents[3]
SMALL = replace(campaigns.Campaign(), blocks=1, systems=campaigns.SYSTEMS[:2], workloads=("noop",))


@pytest.fixture(autouse=True)
def _own_limit() -> Iterator[None]:
    """Frictionless raises the limit of csv's fields for the whole process; the lab counts on it."""
    before = csv.field_size_limit()
    yield
    csv.field_size_limit(before)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run of four trials, small enough for the ordinary suite."""
    folder = tmp_path_factory.mktemp("results")
    arguments = ["--backend", "inline", "--workload", "noop", "--arrival", "burst", "--tasks", "50"]
    chosen = [*arguments, "--backend", "thread-pool", "--blocks", "1", "--cores", "1"]
    assert main(["bench", "--provider", "local", *chosen, "--results", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def package(results: Path) -> Path:
    """The package of that run."""
    target = results / "package"
    assert main(["publish", "--results", str(results), "--to", str(target)]) == 0
    return target


def test_the_package_is_valid_by_the_standard(package: Path) -> None:
    """Types, keys, references and constraints hold for every table, by somebody else's reader."""
    report = Package(str(package / "datapackage.json")).validate()
    assert report.valid, report.flatten(["title", "message"])
    assert {task.name for task in report.tasks} == {*CSV_TABLES, *PARQUET_TABLES}


def test_a_package_for_a_repository_has_no_row_a_task(results: Path, tmp_path: Path) -> None:
    """Its tables are valid without, and any of its rows can be measured again."""
    target = tmp_path / "reference"
    assert main(["publish", "--no-tasks", "--results", str(results), "--to", str(target)]) == 0
    report = Package(str(target / "datapackage.json")).validate()
    assert report.valid, report.flatten(["title", "message"])
    assert {task.name for task in report.tasks} == set(CSV_TABLES)
    kinds = {file.suffix for file in target.rglob("*") if file.is_file()}
    assert not kinds & {".parquet", ".html"}
    trial_id = pd.read_csv(target / "trial.csv").trial_id[0]
    assert reproduce.find(f"{target}/{trial_id}", tmp_path)[1].id == trial_id


def test_the_reference_is_valid_and_whole_and_the_readme_shows_it() -> None:
    """Every published campaign of ours can be checked by others, and each chart is one of its."""
    packages = sorted(path.parent for path in ROOT.glob("results/reference/*/datapackage.json"))
    assert packages
    for folder in packages:
        report = Package(str(folder / "datapackage.json")).validate()
        assert report.valid, report.flatten(["title", "message"])
        assert_whole(folder)
    charts = re.findall(r"!\[[^]]+\]\((.*?)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert charts
    assert all(
        (ROOT / chart).parents[1] in packages and (ROOT / chart).is_file() for chart in charts
    )


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("metric.csv", ",1/s,", ",1/s,x"),  # a number of tasks that is none
        ("trial.csv", "\n", "\n\n"),  # a row without a key
        ("datapackage.json", '"type": "integer"', '"type": "boolean"'),
        ("environment.csv", "cpu.cores", "cpu.model"),  # a key twice
    ],
)
def test_a_wrong_package_fails(
    package: Path, tmp_path: Path, file: str, old: str, new: str
) -> None:
    """What the validation is worth: each of these is found."""
    for source in package.iterdir():
        if source.is_file():
            (tmp_path / source.name).write_bytes(source.read_bytes())
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1))
    assert not Package(str(tmp_path / "datapackage.json")).validate().valid


def assert_whole(package: Path) -> None:
    """Each file is the one whose checksum was written down."""
    for line in (package / "SHA256SUMS").read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((package / name).read_bytes()).hexdigest() == digest


def test_all_that_is_needed_lies_in_it(package: Path) -> None:
    """Checksums hold, units are told, and the lock, the licence and the command are there."""
    assert_whole(package)
    described = json.loads((package / "datapackage.json").read_text())
    of_trial = next(r for r in described["resources"] if r["name"] == "trial")
    units = {field["name"]: field["unit"] for field in of_trial["schema"]["fields"]}
    assert units["t_begin_ns"] == "ns"
    assert described["licenses"][0]["name"] == "CC-BY-4.0"
    assert "--hash=sha256:" in (package / "lock.txt").read_text()
    assert "--backend inline" in (package / "README.md").read_text()
    tasks = pyarrow.parquet.read_schema(package / "task.parquet")
    assert tasks.field("t3_ns").metadata[b"unit"] == b"ns"
    assert tasks.names[:2] == ["trial_id", "attempt"]


def test_a_cell_that_a_spreadsheet_would_run_is_disarmed(tmp_path: Path) -> None:
    """A formula in a text stays text; numbers below zero stay numbers."""
    tables = dict(campaigns.campaign.__wrapped__(SMALL))
    trials = tables["trial"]
    tables["trial"] = trials.assign(flag_reasons="=HYPERLINK(1)", workload="=noop")
    for name in ("estimate", "trend"):
        tables[name] = tables[name].assign(workload="=noop")
    run = campaigns.write(tables, tmp_path / "runs" / "run")
    (run / "plan.json").write_text('{"trials": []}')
    (run / "figures").mkdir()
    (run / "figures" / "x.csv").write_text("name,y,n\n=1+1,-2.5,\n")
    (run / "figures" / "secret.csv").symlink_to("/etc/hostname")
    target = tmp_path / "out"
    assert main(["publish", str(run), "--to", str(target)]) == 0
    written = pd.read_csv(target / "trial.csv")
    assert set(written.flag_reasons) == {"'=HYPERLINK(1)"}
    assert set(written.workload) == {"'=noop"}
    drawn = [pd.read_csv(file, dtype=str) for file in (target / "figures").glob("*.csv")]
    assert {value for cells in drawn for value in cells.get("workload", ())} == {"'=noop"}
    # Figures are drawn from what is published; whatever else lies there stays at home.
    assert not (target / "figures" / "x.csv").exists()
    assert not (target / "figures" / "secret.csv").exists()
    # It has points of other runs, which are no part of the package.
    assert not (target / "figures" / f"{OVER_TIME.name}.csv").exists()


def test_nothing_is_overwritten_and_nothing_invented(
    results: Path, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is there, a run that is not, a row that is none: one sentence, exit code 2."""
    before = (package / "SHA256SUMS").read_bytes()
    cases = {
        (
            "publish",
            "--results",
            str(results),
            "--to",
            str(package),
        ): "Choose another folder with --to",
        ("publish", "--results", str(tmp_path)): "holds no run to publish",
        ("reproduce", "../../etc", "--results", str(results)): "is not a row",
        ("reproduce", "f" * 16, "--results", str(results)): "holds no trial",
    }
    for arguments, words in cases.items():
        assert main(list(arguments)) == 2
        assert words in " ".join(capsys.readouterr().err.split())
    assert (package / "SHA256SUMS").read_bytes() == before


def test_a_row_is_measured_again_from_the_package_alone(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same trial runs, and what is not as it was is said before it starts."""
    facts = pd.read_csv(package / "environment.csv", dtype=str, keep_default_na=False)
    other = tmp_path / "package"
    other.mkdir()
    for file in package.iterdir():
        if file.is_file():
            (other / file.name).write_bytes(file.read_bytes())
    facts.loc[facts.key == "cpu.model", "value"] = "Another CPU"
    facts.to_csv(other / "environment.csv", index=False)
    trial = pd.read_csv(other / "trial.csv").trial_id.iloc[0]
    assert main(["reproduce", f"{other}/{trial}", "--results", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert "cpu.model: Another CPU then, " in told.err
    assert "worker_s_per_task" in told.out
    (again,) = (tmp_path / "runs").iterdir()
    assert list(pd.read_csv(again / "trial.csv").trial_id) == [trial]
