"""Tests the environment variables and import paths of the processes that the lab starts."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from lab.cli.main import main
from lab.core.serialization import spec_from_json, spec_to_json
from lab.host import child_environment
from lab.results.store import Store
from lab.worker.execution import checksum
from tests.conftest import RunCli
from tests.factories.foreign_environment import JUNK, write_shadows
from tests.factories.trials import spec_of

LAB = Path(child_environment.__file__).parents[1]
# Files that run tools of the user (git, asv) outside measurements.
OF_THE_USER = {"cli/history.py", "worker/container.py"}
# Addresses of servers and settings, from the backends' documentation or code.
READ = [
    *("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_RESULT_BACKEND", "BROKER_URL"),
    *("RESULT_BACKEND", "CONFIG_MODULE", "CELERY_CONFIG_MODULE", "C_FORCE_ROOT", "KOMBU_LOG_DEBUG"),
    *("RQ_REDIS_URL", "RQ_KEY_PREFIX", "RQ_JOB_CLASS", "Q_CLUSTER_NAME", "FLOWER_BROKER_API"),
    *("DASK_SCHEDULER_ADDRESS", "DASK_CONFIG", "__DASK_PARENT_PID", "_MP_FORK_LOGFILE_"),
    *("JOBLIB_START_METHOD", "LOKY_MAX_CPU_COUNT", "GEVENT_RESOLVER", "PGHOSTADDR", "PGSERVICE"),
    *("PSYCOPG_IMPL", "DJANGO_ALLOW_ASYNC_UNSAFE", "FORKED_BY_MULTIPROCESSING", "MP_LOG"),
]
SHOW = "import json, os, sys; print(json.dumps([dict(os.environ), sys.path]))"


@pytest.fixture
def junk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment variables of another project."""
    for name, value in JUNK.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("junk")
def test_only_listed_variables_are_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's client also gets the variables with the address of its engine."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "another")
    assert not {*child_environment.of_process(), *child_environment.of_download()} & {*JUNK}
    assert set(child_environment.of_process()) <= {
        *child_environment.PROCESS, *child_environment.SAFE_PATH, "PYTHONPATH", "LC_ALL",
    }  # fmt: skip
    assert "DOCKER_HOST" in child_environment.of_engine()
    assert not {"DOCKER_HOST", "COMPOSE_PROJECT_NAME"} & {*child_environment.of_process()}
    assert "COMPOSE_PROJECT_NAME" not in child_environment.of_download()


@pytest.mark.usefixtures("junk")
def test_modules_of_the_user_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's folders follow the standard library and installed packages, in Python's order."""
    here, other = tmp_path / "here", tmp_path / "other"
    for folder in (here, other):
        folder.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", str(other))
    environment = child_environment.of_process() | child_environment.with_users_code()
    command = [sys.executable, "-c", SHOW]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    variables, path = json.loads(done.stdout)
    assert path == [*child_environment.default_path(), str(here), str(other)]
    assert not set(variables) & {*JUNK}
    done = subprocess.run(
        command, env=child_environment.of_process(), capture_output=True, check=True
    )
    assert json.loads(done.stdout)[1] == [*child_environment.default_path()]


def test_each_process_is_started_with_an_explicit_environment() -> None:
    """No file of lab/ starts a program that inherits the environment of the lab."""
    missing = [
        f"{file.relative_to(LAB)}:{node.lineno}"
        for file in LAB.rglob("*.py")
        if file.relative_to(LAB).as_posix() not in OF_THE_USER
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("subprocess.run", "subprocess.Popen")
        and "env" not in {keyword.arg for keyword in node.keywords}
    ]
    assert missing == []


def test_modules_of_the_current_folder_do_not_affect_a_command(
    tmp_path: Path,
) -> None:
    """A file such as statistics.py in the current folder does not replace a standard module."""
    write_shadows(tmp_path)
    script = Path(sys.executable).with_name("lab")
    words = ["bench", "-b", "thread-pool", "-b", "process-pool", "-w", "noop", "--tasks", "20"]
    words += ["--arrival", "burst", "--blocks", "1", "--cores", "1", "--provider", "local"]
    words += ["--tables-only", "--results", "r"]
    done = subprocess.run(
        [script, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SHOP_ABSENT", "it is not set"),
        ("LAB_OWNER", "the lab sets or passes it itself"),
        ("PYTHONHASHSEED", "the lab sets or passes it itself"),
        ("PYTHONPATH", "the lab sets or passes it itself"),
        ("DJANGO_SETTINGS_MODULE", "the lab sets or passes it itself"),
        ("PATH", "the lab sets or passes it itself"),
        ("LC_ALL", "the lab sets or passes it itself"),
        ("A=B", "is not the name of a variable"),
        *((name, "a measured backend reads it as its setting") for name in READ),
    ],
)
def test_a_variable_that_cannot_be_passed_is_a_usage_error(
    name: str, words: str, run_cli: RunCli
) -> None:
    """The message comes before anything runs."""
    shown = run_cli("bench", "--provider", "local", "--dry-run", "-b", "inline", "--pass-env", name)
    assert shown.returncode == 2
    assert words in shown.stderr


@pytest.mark.parametrize("name", ["API_URL", "REDIS_URL", "DATABASE_URL", "OMP_NUM_THREADS"])
def test_a_variable_that_no_backend_reads_is_passed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lab passes addresses to backends in other variables."""
    monkeypatch.setenv(name, "7")
    assert child_environment.passed([name]) == {name: "7"}


def test_a_passed_variable_reaches_the_function_and_its_name_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file of the run contains its value; a resumed run requires the variable again."""
    monkeypatch.setenv("SHOP_TOKEN", "not-for-results")
    words = "bench --task os:getenv -b process-pool --arrival burst --blocks 1 --cores 1 --tasks 5"
    words += " --pass-env SHOP_TOKEN --provider local --allow-dirty --tables-only"
    arguments = ["--args", '["SHOP_TOKEN"]', "--results", str(tmp_path)]
    assert main([*words.split(), *arguments]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    rows = Store(run).read("trial")
    assert set(rows.pass_env) == {"SHOP_TOKEN"}
    assert set(rows.answer_check) == {"inline call"}
    expected = checksum("not-for-results")
    tasks = pd.read_parquet(next(run.glob("trials/*/task.parquet")))
    assert set(tasks[tasks.phase == "measure"].answer) == {expected}
    files = [file for file in run.rglob("*") if file.is_file()]
    assert not [file.name for file in files if b"not-for-results" in file.read_bytes()]
    monkeypatch.delenv("SHOP_TOKEN")
    resume = ["bench", "--resume", str(run), "--task", "os:getenv", *arguments[:2]]
    assert main(resume) == 2


def test_ids_of_trials_without_passed_variables_are_unchanged() -> None:
    """The id does not include a field with its default value."""
    spec = spec_of("inline")
    assert "pass_env" in asdict(spec)
    assert spec.id == "7ca76e19a99dd653"
    assert replace(spec, pass_env=("SHOP_TOKEN",)).id != spec.id
    again = spec_from_json(spec_to_json(replace(spec, pass_env=("SHOP_TOKEN",))))
    assert again.pass_env == ("SHOP_TOKEN",)


def test_an_installed_lab_does_not_share_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another interpreter imports the lab, and nothing else that is installed beside it.

    Nothing is installed beside a checkout, nor beside the copy in a container, whose file system is
    read-only.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    installed = tmp_path / "site-packages"
    for package in ("lab", "workloads", "celery"):
        (installed / package).mkdir(parents=True)
    child_environment._source.cache_clear()
    assert child_environment._source(installed) == installed
    (installed / "celery-5.6.0.dist-info").mkdir()
    for _ in range(2):  # the second time, the links exist
        child_environment._source.cache_clear()
        source = child_environment._source(installed)
        assert {path.name: path.resolve() for path in source.iterdir()} == {
            name: installed / name for name in ("lab", "workloads")
        }
