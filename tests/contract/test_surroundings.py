"""A trial's surroundings are the lab's, for each system: no variable, file or server of others."""

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
from tests.factories.trials import run, spec_of

# What the lab sets itself, and what it passes on.
LISTED = rf"{'|'.join(child_environment.PROCESS)}|LC_\w+|LAB_\w+|PYTHON(PATH|SAFEPATH|HASHSEED)"
# What systems give the processes that they start themselves, or the lab as a documented setting.
THEIRS = {
    "dask": r"(__)?DASK_\w+|MALLOC_TRIM_THRESHOLD_|(OMP|MKL|OPENBLAS)_NUM_THREADS",
    "joblib": r"\w+_(NUM|MAX|MAXIMUM)_THREADS|KMP_INIT_AT_FORK|ENABLE_IPC",
    "rq": r"RQ_(WORKER|JOB|EXECUTION)_ID|RQ_REDIS_URL",
    "celery": r"FLOWER_BASIC_AUTH|CELERY_LOG_\w+|_MP_FORK_LOG\w+",
    "celery-beat": r"DJANGO_SETTINGS_MODULE|CELERY_LOG_\w+|_MP_FORK_LOG\w+",
    "django-q": "DJANGO_SETTINGS_MODULE",
    "django-rq": r"DJANGO_SETTINGS_MODULE",
    "django-crontab": "DJANGO_SETTINGS_MODULE",
}
SYSTEMS = [
    *("thread-pool", "asyncio", "process-pool[spawn]", "process-pool[forkserver]"),
    *("multiprocessing[spawn]", "joblib[loky]", "dask[processes]", "dask[distributed]"),
    *("celery[prefork]", "celery[gevent]", "rq[worker]", "rq[spawn-worker]", "rq[worker-pool]"),
    *("django-rq", "django-q[redis]", "django-q[orm+sqlite]", "apscheduler[processes+late-runs]"),
    *("raw-redis", "raw-sql", "pipe", "celery-beat[static]", "celery-beat[django]"),
]


def strangers(system: str, seen: dict[int, Seen]) -> dict[str, set[str]]:
    """Return the variables that are on no list, by the words of the process that has them."""
    allowed = re.compile(f"{LISTED}|{THEIRS.get(system, LISTED)}")
    found = {}
    for process in seen.values():
        rest = {
            name
            for name, value in process.variables.items()
            if not allowed.fullmatch(name) or JUNK.get(name) == value
        }
        if rest:
            found[" ".join(process.words)[:120]] = rest
    return found


@pytest.mark.slow
@pytest.mark.parametrize("label", SYSTEMS)
def test_processes_of_a_trial_have_variables_of_the_list_alone(
    label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients, workers, servers and schedulers; from a folder of modules that break what they can.

    The trial is ok, so no such module was imported, and nothing waited for another server.
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
        found = run(tmp_path, spec_of(label, arrival=arrival, topology=Topology(1, 1, workers)))
    assert (found.row.status, found.row.reason) == ("ok", "")
    assert any("lab.driver" in process.words for process in seen.values())
    if Service.REDIS in selected.backend.services:
        assert any("redis-server" in process.words[0] for process in seen.values())
    assert strangers(selected.name, seen) == {}


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
    """The current folder: another project's, with a module of its own."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "mine_alone.py").write_text(MINE)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("folder_of_the_user")
@pytest.mark.parametrize("label", CARRIED)
def test_a_function_and_its_arguments_come_from_the_current_folder(
    label: str, tmp_path: Path
) -> None:
    """Also where a system imports the module itself, to unpickle an argument of its class."""
    name = "mine_alone:total(mine_alone:ORDERS)"
    row = run(tmp_path, spec_of(label, name, arrival=Burst(20), answer=21)).row
    assert (row.status, row.reason) == ("ok", "")


@pytest.mark.slow
@pytest.mark.usefixtures("folder_of_the_user")
@pytest.mark.parametrize("label", ["celery[prefork]", "celery[threads]"])
def test_celery_finds_a_function_by_its_name(label: str, tmp_path: Path) -> None:
    """Its messages are JSON."""
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
def test_a_file_that_an_installed_module_hides_is_a_usage_error(
    files: tuple[str, ...],
    task: str,
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_cli: RunCli,
) -> None:
    """Before the function is called; what another function needs not hinders nobody."""
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
