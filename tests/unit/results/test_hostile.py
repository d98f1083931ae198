"""Tests that damaged or hostile runs give one error message, and that nothing is overwritten."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from lab.cli.main import main
from lab.results.schema import SCHEMA_VERSION
from tests.factories import campaigns

SMALL = replace(campaigns.Campaign(), blocks=1, systems=campaigns.SYSTEMS[:2], workloads=("noop",))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An intact run folder."""
    run = campaigns.write(campaigns.campaign(SMALL), tmp_path_factory.mktemp("sound") / "run")
    (run / "plan.json").write_text('{"trials": []}')
    return run


@pytest.fixture
def run(sound: Path, tmp_path: Path) -> Path:
    """A copy of the intact run, which the test damages."""
    return shutil.copytree(sound, tmp_path / "results" / "runs" / campaigns.SYNTHETIC)


def tasks(run: Path) -> Path:
    """Return the tasks of the first trial."""
    return min((run / "trials").glob("*/task.parquet"))


def cut(file: Path) -> None:
    """Truncate a file to its first half."""
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def foreign(file: Path) -> None:
    """Replace a file by a table of another program."""
    pyarrow.parquet.write_table(pa.table({"name": ["x"]}), file)


def rename(file: Path, old: str, new: str) -> None:
    """Replace a text everywhere in a file."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def first_id(run: Path) -> str:
    """Return the id of the first trial."""
    return tasks(run).parent.name.removesuffix("-1")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "tasks cut": (lambda run: cut(tasks(run)), "task.parquet is damaged"),
    "tasks are text": (lambda run: tasks(run).write_text("<html>"), "task.parquet is damaged"),
    "tasks of another": (lambda run: foreign(tasks(run)), "has schema version 'none'"),
    "tasks gone": (lambda run: tasks(run).unlink(), "No such file"),
    "trials of another": (
        lambda run: (run / "trial.csv").write_text("a,b\n1,2\n"),
        "does not have the columns",
    ),
    "trials are bytes": (
        lambda run: (run / "trial.csv").write_bytes(b"\x00\xff\x00"),
        "is not a CSV file",
    ),
    "another schema": (
        lambda run: rename(run / "campaign.csv", f",{SCHEMA_VERSION},", ",9.0,"),
        "has schema version '9.0'",
    ),
    "a trial is a path": (
        lambda run: rename(run / "trial.csv", first_id(run), "../../../etc"),
        "trial_id '../../../etc' must consist of",
    ),
    "the run is a path": (
        lambda run: list(
            map(
                partial(rename, old=campaigns.SYNTHETIC, new="../up"),
                [run / "campaign.csv", run / "trial.csv"],
            )
        ),
        "campaign_id '../up' must consist of",
    ),
}


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@pytest.mark.parametrize("case", DAMAGES)
@pytest.mark.parametrize("command", ["report", "publish"])
def test_damaged_run_is_refused_and_not_changed(
    run: Path, case: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the file and the fault; no file is changed or added."""
    damage, message = DAMAGES[case]
    damage(run)
    before = contents(run.parents[2])
    to = ["--to", str(run.parents[2] / "package")] if command == "publish" else []
    assert main([command, str(run), *to]) != 0
    errors = " ".join(capsys.readouterr().err.split())
    assert message in errors
    assert "Traceback" not in errors
    assert contents(run.parents[2]) == before


def test_damaged_plan_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`bench --resume` and `reproduce` report the damage, and do not treat the plan as empty."""
    for text in ("{", "[]", '{"trials": [{"arrival": ["burst", {}]}]}'):
        (run / "plan.json").write_text(text)
        for command in (["bench", "--resume", str(run)], ["reproduce", f"{run}/{'f' * 16}"]):
            assert main(command) != 0
            assert "is damaged" in " ".join(capsys.readouterr().err.split())


@pytest.mark.usefixtures("short_page")
def test_package_quotes_a_hostile_command(run: Path, tmp_path: Path) -> None:
    """The command line in the package's README starts no other program in a shell."""
    rename(run / "campaign.csv", "lab bench --preset quick", "bench --tasks 1; touch x ```")
    assert main(["publish", str(run), "--to", str(tmp_path / "package")]) == 0
    shown = (tmp_path / "package" / "README.md").read_text()
    assert "nox -s bench -- --tasks '1;' touch x '```'    #" in shown
    descriptor = json.loads((tmp_path / "package" / "datapackage.json").read_text())
    assert descriptor["name"] == campaigns.SYNTHETIC
