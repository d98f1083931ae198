"""Tests that no variable, module or server of another project affects a trial of any backend."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.core.model import Burst, Capability, Periodic, Service, Topology
from lab.host import child_environment
from lab.planning import registry
from tests.conftest import RunCli
from tests.contract.watching import Seen, watching
from tests.factories.foreign_environment import JUNK, write_shadows
from tests.factories.servers import REDIS_SERVER
from tests.factories.trials import run, spec_of

# Variables that the lab sets or passes.
LISTED = rf"{'|'.join(child_environment.PROCESS)}|LC_\w+|LAB_\w+|PYTHON(PATH|SAFEPATH|HASHSEED)"
# Variables that backends set in processes that they start, or that the lab sets for a backend.
THEIRS = {
    "dask": r"(__)?DASK_\w+|MALLOC_TRIM_THRESHOLD_|(OMP|MKL|OPENBLAS)_NUM_THREADS",
    "joblib": r"\w+_(NUM|MAX|MAXIMUM)_THREADS|KMP_INIT_AT_FORK|ENABLE_IPC",
    "rq": r"RQ_(WORKER|JOB|EXECUTION)_ID|RQ_REDIS_URL",
    "celery": r"FLOWER_BASIC_AUTH|CELERY_LOG_\w+|_MP_FORK_LOG\w+",
    "celery-beat": r"DJANGO_SETTINGS_MODULE|CELERY_LOG_\w+|_MP_FORK_LOG\w+",
    "django-q": "DJANGO_SETTINGS_MODULE",
    "django-rq": r"DJANGO_SETTINGS_MODULE",
    "django-crontab": "DJANGO_SETTINGS_MODULE",
    "django-tasks": "DJANGO_SETTINGS_MODULE",
}
SYSTEMS = [
    *("thread-pool", "asyncio", "process-pool[spawn]", "process-pool[forkserver]"),
    *("multiprocessing[spawn]", "joblib[loky]", "dask[processes]", "dask[distributed]"),
    *("celery[prefork]", "celery[gevent]", "rq[worker]", "rq[spawn-worker]", "rq[worker-pool]"),
    *("django-rq", "django-q[redis]", "django-q[orm+sqlite]", "apscheduler[processes+late-runs]"),
    *(
        "pebble[spawn]",
        "raw-redis",
        "raw-sql",
        "pipe",
        "celery-beat[static]",
        "celery-beat[django]",
    ),
    *("dramatiq[processes]", "huey[process]", "taskiq[processes+list]", "pebble[spawn]"),
    *("django-tasks[database+sqlite]", "django-tasks[rq]"),
]


def unlisted_variables(system: str, seen: dict[int, Seen]) -> dict[str, set[str]]:
    """Return the variables that are on no list, by the command line of their process."""
    allowed = re.compile(f"{LISTED}|{THEIRS.get(system, LISTED)}")
    unlisted = {}
    for process in seen.values():
        names = {
            name
            for name, value in process.variables.items()
            if not allowed.fullmatch(name) or JUNK.get(name) == value
        }
        if names:
            unlisted[" ".join(process.words)[:120]] = names
    return unlisted


@pytest.mark.slow
@pytest.mark.parametrize("label", SYSTEMS)
def test_processes_of_a_trial_have_only_listed_variables(
    label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients, workers, servers and schedulers, started in a folder of modules that raise.

    The trial is ok, so that no such module was imported and no other server was used.
    """
    write_shadows(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in JUNK.items():
        monkeypatch.setenv(name, value)
    selected = registry.select(label)
    promised = next(v for v in selected.backend.variants if v.name == selected.variant).capabilities
    submits = promised & {Capability.SUBMIT, Capability.BATCH}
    arrival = Burst(20) if submits else Periodic(2, 2, every_s=1.0)
    workers = 2 if Capability.PARALLEL in promised else 1
    with watching() as seen:
        result = run(tmp_path, spec_of(label, arrival=arrival, topology=Topology(1, 1, workers)))
    assert (result.row.status, result.row.reason) == ("ok", "")
    assert any("lab.driver" in process.words for process in seen.values())
    if Service.REDIS in selected.backend.services:
        assert any(REDIS_SERVER in process.words[0] for process in seen.values())
    assert unlisted_variables(selected.name, seen) == {}


MINE = """
import json  # of the standard library


class Order:
    def __init__(self, number):
        self.number = number


ORDERS = [Order(20), Order(1)]


def total(*orders):
    return sum(order.number for order in orders)


async def total_later(*orders):
    return total(*orders)
"""
CARRIED = [
    *("inline", "threading", "asyncio[to_thread]", "process-pool[spawn]", "pipe"),
    *("process-pool[forkserver]", "multiprocessing[spawn]", "joblib[loky]", "dask[processes]"),
    *("joblib[multiprocessing]", "dask[distributed]", "dask[distributed+threads]", "django-rq"),
    *("rq[worker]", "rq[simple-worker]", "rq[spawn-worker]", "rq[worker-pool]", "raw-redis"),
    *("django-q[redis]", "django-q[orm+sqlite]", "apscheduler[processes+late-runs]", "raw-sql"),
]


@pytest.fixture
def folder_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to the folder of another project, which contains a module."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "mine_alone.py").write_text(MINE)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("folder_of_the_user")
@pytest.mark.parametrize("label", CARRIED)
def test_a_function_and_its_arguments_are_imported_from_the_current_folder(
    label: str, tmp_path: Path
) -> None:
    """Some backends import the module themselves, to unpickle an argument of its class."""
    name = "mine_alone:total(mine_alone:ORDERS)"
    row = run(tmp_path, spec_of(label, name, arrival=Burst(20), answer=21)).row
    assert (row.status, row.reason) == ("ok", "")


@pytest.mark.slow
@pytest.mark.usefixtures("folder_of_the_user")
@pytest.mark.parametrize("label", ["celery[prefork]", "celery[threads]"])
def test_celery_imports_a_function_by_its_name(label: str, tmp_path: Path) -> None:
    """Messages of Celery are JSON and have the name of the function."""
    row = run(tmp_path, spec_of(label, "mine_alone:total", arrival=Burst(20), answer=0)).row
    assert (row.status, row.reason) == ("ok", "")


@pytest.mark.parametrize(
    ("files", "task", "named"),
    [
        (("celery", "tasks"), "tasks:charge", "celery.py"),
        (("queue",), "queue:charge", "queue.py"),
        (("statistics", "shop"), "shop:charge", "statistics.py"),
        (("numpy",), "numpy:charge", "numpy.py"),
    ],
)
def test_a_file_with_the_name_of_an_installed_module_is_a_usage_error(
    files: tuple[str, ...],
    task: str,
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_cli: RunCli,
) -> None:
    """The error comes before the function is called, and not for functions of other folders."""
    for name in files:
        (tmp_path / f"{name}.py").write_text("def charge():\n    raise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    words = ("bench", "-b", "inline", "--provider", "local", "--dry-run", "--task")
    shown = run_cli(*words, task)
    assert shown.returncode == 2
    assert f"{tmp_path / named} has the name of an installed module" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert "Calling" not in shown.stderr
    assert "installed module" not in run_cli(*words, "math:exp", "--args", "[1]").stderr
