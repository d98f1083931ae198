"""Tests the data package of a run, and the rerun of one of its rows."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest
from frictionless import Package

from lab.cli.main import main
from lab.publishing import reproduce
from lab.report import page
from lab.report.faults import matrix
from lab.report.page import PAGE
from lab.report.run_tables import RunTables
from lab.results.schema import CSV_TABLES, PARQUET_TABLES
from lab.results.store import Store
from tests.conftest import once, shorten_page
from tests.factories import campaigns
from tests.factories.faults import with_faults

ROOT = Path(__file__).parents[3]
LARGEST_PAGE = 3_000_000  # bytes; it opens from a mail or a slow disk


@pytest.fixture(autouse=True)
def _csv_limit() -> Iterator[None]:
    """Restore csv's field limit, which Frictionless raises and the lab's readers rely on."""
    before = csv.field_size_limit()
    yield
    csv.field_size_limit(before)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of a real run of two trials, and its packages with and without tasks."""

    def make(folder: Path) -> Path:
        words = "--backend inline --backend thread-pool --workload noop --arrival burst --tasks 50"
        chosen = [*words.split(), "--blocks", "1", "--cores", "1"]
        chosen += ["--allow-disturbed", "--tables-only", "--results", str(folder)]
        assert main(["bench", "--provider", "local", *chosen]) == 0
        of_run = ["--results", str(folder), "--to"]
        with pytest.MonkeyPatch.context() as patch:
            shorten_page(patch)  # the whole page of a run is that of the package without tasks
            assert main(["publish", *of_run, str(folder / "package")]) == 0
        assert main(["publish", "--no-tasks", *of_run, str(folder / "without-tasks")]) == 0
        return folder

    return once(tmp_path_factory, "published", make)


@pytest.fixture(scope="module")
def package(results: Path) -> Path:
    """The package of that run."""
    return results / "package"


@pytest.fixture(scope="module")
def without_tasks(results: Path) -> Path:
    """The package of that run without its tables of tasks."""
    return results / "without-tasks"


def test_package_is_valid_by_the_standard(package: Path) -> None:
    """Frictionless accepts the types, keys, references and constraints of every table."""
    report = Package(str(package / "datapackage.json")).validate()
    assert report.valid, report.flatten(["title", "message"])
    assert {task.name for task in report.tasks} == {*CSV_TABLES, *PARQUET_TABLES}


def test_package_without_tasks_is_valid_and_reproducible(
    without_tasks: Path, tmp_path: Path
) -> None:
    """With `--no-tasks`, the CSV tables are valid, and each row can be reproduced."""
    report = Package(str(without_tasks / "datapackage.json")).validate()
    assert report.valid, report.flatten(["title", "message"])
    assert {task.name for task in report.tasks} == set(CSV_TABLES)
    kinds = {file.suffix for file in without_tasks.rglob("*") if file.is_file()}
    assert ".parquet" not in kinds
    assert "thread-pool" in (without_tasks / "report.html").read_text(encoding="utf-8")
    trial_id = pd.read_csv(without_tasks / "trial.csv").trial_id[0]
    assert reproduce.find_row(f"{without_tasks}/{trial_id}", tmp_path)[1].id == trial_id


def test_the_page_of_a_package_without_tasks_shows_its_tables(
    without_tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`lab report PACKAGE` draws the page and leaves every published table as it is."""
    target = shutil.copytree(without_tasks, tmp_path / "reference")
    (target / "report.html").unlink()
    before = {name: (target / f"{name}.csv").read_bytes() for name in CSV_TABLES}
    assert main(["report", str(target)]) == 0
    assert "its metrics stay as published" in capsys.readouterr().err
    assert "thread-pool" in (target / "report.html").read_text(encoding="utf-8")
    assert_checksums(target)
    assert {name: (target / f"{name}.csv").read_bytes() for name in CSV_TABLES} == before


@pytest.mark.usefixtures("short_page")
def test_a_package_without_tasks_keeps_what_the_matrix_of_faults_shows(tmp_path: Path) -> None:
    """Hits, ids of harmed tasks and survived faults are those of the run (METHOD M28)."""
    tables = with_faults(campaigns.campaign(replace(campaigns.SMALL, blocks=1, cores=(1,))))
    run = campaigns.write(tables, tmp_path / "runs" / "synthetic")
    (run / "plan.json").write_text("{}")
    target = tmp_path / "package"
    assert main(["publish", "--no-tasks", str(run), "--to", str(target)]) == 0
    assert not (target / "task.parquet").exists()
    squares = matrix(RunTables(target))
    assert squares == matrix(RunTables(run))
    assert squares
    (lost,) = (row.squares[1] for row in squares.systems if row.name == "rq")
    assert (lost.fault, lost.survived) == ("worker-kill", "0 of 4 survived")
    assert all(hit.tasks["lost"] for hit in lost.hits)
    assert set(Store(target).read("estimate").fault) == {""}
    report = Package(str(target / "datapackage.json")).validate()
    assert report.valid, report.flatten(["title", "message"])


@pytest.mark.usefixtures("short_page")
def test_a_package_published_again_keeps_its_tables_and_its_lock(
    without_tasks: Path, tmp_path: Path
) -> None:
    """Its texts become those of this version; the software was that of its own lock file."""
    first, again = shutil.copytree(without_tasks, tmp_path / "first"), tmp_path / "again"
    (first / "lock.txt").write_text("celery==4.0\n")
    assert main(["publish", "--no-tasks", str(first), "--to", str(again)]) == 0
    assert (again / "lock.txt").read_text() == "celery==4.0\n"
    for table in CSV_TABLES:
        name = f"{table}.csv"
        assert (again / name).read_bytes() == (first / name).read_bytes(), name


@pytest.mark.parametrize(
    ("name", "tables"),
    [("package", (*CSV_TABLES, *PARQUET_TABLES)), ("without-tasks", CSV_TABLES)],
)
def test_the_dictionary_describes_the_files_of_the_package(
    name: str, tables: tuple[str, ...], results: Path
) -> None:
    """Every described file is in the package, and its snippet runs there."""
    target = results / name
    text = (target / "DICTIONARY.md").read_text(encoding="utf-8")
    named = re.findall(r"^## (\w+)\n\n`([\w./]+)`", text, re.MULTILINE)
    assert [name for name, _ in named] == [*tables]
    assert all((target / file).is_file() for _, file in named)
    program = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=target, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_package_names_its_machine_and_the_version_of_every_system(package: Path) -> None:
    """The texts are for a reader who has only the package."""
    readme = (package / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^Machine: .+, \d+ CPUs, .* GiB of memory, Linux .*\.$", readme, re.MULTILINE)
    facts = pd.read_csv(package / "environment.csv", dtype=str, keep_default_na=False)
    versions = dict(zip(facts.key, facts.value, strict=True))
    for name in ("celery", "rq", "dask", "distributed", "django-q2", "apscheduler", "joblib"):
        assert versions[f"package.{name}"]


def test_committed_packages_are_valid_and_contain_the_readmes_charts() -> None:
    """Every package in results/reference is valid and has a page; the README's charts are there."""
    packages = sorted(path.parent for path in ROOT.glob("results/reference/*/datapackage.json"))
    assert packages
    for folder in packages:
        report = Package(str(folder / "datapackage.json")).validate()
        assert report.valid, report.flatten(["title", "message"])
        assert_checksums(folder)
        assert (folder / PAGE).stat().st_size <= LARGEST_PAGE
    charts = re.findall(r"!\[[^]]+\]\((.*?)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert charts
    assert all(
        (ROOT / chart).parents[1] in packages and (ROOT / chart).is_file() for chart in charts
    )


@pytest.mark.slow
def test_the_page_of_the_standard_reference_is_at_most_3_mb(tmp_path: Path) -> None:
    """Drawn by the code of today, from the committed tables."""
    package = shutil.copytree(ROOT / "results/reference/standard", tmp_path / "standard")
    (package / PAGE).unlink()
    assert page.write(RunTables(package)).stat().st_size <= LARGEST_PAGE


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("metric.csv", ",1/s,", ",1/s,x"),  # a number of tasks that is not a number
        ("trial.csv", "\n", "\n\n"),  # a row without a key
        ("datapackage.json", '"type": "integer"', '"type": "boolean"'),
        ("environment.csv", "cpu.cores", "cpu.model"),  # a duplicate key
    ],
)
def test_validation_detects_errors(
    package: Path, tmp_path: Path, file: str, old: str, new: str
) -> None:
    """Each of these errors makes a package invalid."""
    for source in package.iterdir():
        if source.is_file():
            (tmp_path / source.name).write_bytes(source.read_bytes())
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1))
    assert not Package(str(tmp_path / "datapackage.json")).validate().valid


def assert_checksums(package: Path) -> None:
    """Assert that each file has the checksum in SHA256SUMS."""
    for line in (package / "SHA256SUMS").read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((package / name).read_bytes()).hexdigest() == digest


def test_package_contains_units_lock_licence_and_command(package: Path) -> None:
    """The checksums match; units are in the descriptor and in the Parquet schema."""
    assert_checksums(package)
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


def test_publish_and_reproduce_reject_wrong_arguments(
    results: Path, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 for an existing target, a missing run, and two rows that do not exist."""
    before = (package / "SHA256SUMS").read_bytes()
    for folder, arguments, message in (
        (results, ["publish", "--to", str(package)], "Choose another folder with --to"),
        (tmp_path, ["publish"], "There is no run in"),
        (results, ["reproduce", "../../etc"], "is not a row"),
        (results, ["reproduce", "f" * 16], "holds no trial"),
    ):
        assert main([*arguments, "--results", str(folder)]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    assert (package / "SHA256SUMS").read_bytes() == before


def test_reproduce_runs_a_row_of_a_package_and_lists_differences(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same trial runs, without the original run; a changed fact is listed."""
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
    captured = capsys.readouterr()
    assert "cpu.model: Another CPU then, " in captured.err
    assert "worker_s_per_task" in captured.out
    (again,) = (tmp_path / "runs").iterdir()
    assert list(pd.read_csv(again / "trial.csv").trial_id) == [trial]
