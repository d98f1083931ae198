"""What RQ and Django-RQ share: settings as they are in force, preloaded tasks, and cron's jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.core.backend import JOBS, jobs_to_json, setup_to_json
from lab.core.model import Job, Service, Setup, Topology
from lab.planning import registry


def setup_of(label: str) -> Setup:
    """Return what the adapter of a label is told on two slots."""
    endpoints: dict[str, str] = {Service.REDIS: "redis://127.0.0.1:6379/0"}
    return registry.setup(registry.select(label), Topology(1, 2, 2), endpoints)


@pytest.mark.parametrize(
    ("label", "interval_s", "ttl_s"),
    [("rq", 600, 420), ("rq@safe", 15, 30), ("rq[worker-pool]@safe", 600, 420)],
)
def test_the_row_says_how_often_abandoned_jobs_are_looked_for(
    label: str, interval_s: int, ttl_s: int
) -> None:
    """What the command is told is what the row says, and as installed else."""
    setup = setup_of(label)
    backend = registry.backends()["rq"](setup)
    settings = backend.effective_settings()
    assert (settings["maintenance_interval"], settings["worker_ttl"]) == (interval_s, ttl_s)
    told = " ".join(backend.node_commands(setup)[0].argv)
    assert (f"--maintenance-interval {interval_s} --worker-ttl {ttl_s}" in told) == (ttl_s != 420)


def run(*module: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module of this interpreter and return what it printed."""
    own = {**os.environ, **environment}
    command = [sys.executable, "-m", *module]
    return subprocess.run(command, env=own, capture_output=True, text=True, check=False)


def test_preloading_imports_the_tasks_and_goes_on_as_the_command(tmp_path: Path) -> None:
    """What runs next finds the tasks imported, its own arguments, and itself as main."""
    program = "import sys; print(__name__, 'workloads.cpu' in sys.modules, *sys.argv[1:])"
    (tmp_path / "what_runs_next.py").write_text(program)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    seen = run(
        "lab.backends._rq.preloading", "what_runs_next", "--first", "second", PYTHONPATH=path
    )
    assert seen.stdout.split() == ["__main__", "True", "--first", "second"], seen.stderr


def test_an_interval_that_rq_cannot_keep_is_refused(tmp_path: Path) -> None:
    """RQ counts in whole seconds; rounding would be another schedule than was asked for."""
    jobs = (Job(7, "workloads.noop:run", 1, every_s=0.5),)
    (tmp_path / JOBS).write_text(jobs_to_json(jobs), encoding="utf-8")
    told = {"LAB_SETUP": setup_to_json(setup_of("rq")), "LAB_LEDGER": str(tmp_path / "ledger")}
    seen = run("lab.backends._rq.cron", **told)
    assert seen.returncode
    assert "RQ needs intervals of whole seconds; job 7 has 0.5 s." in seen.stderr


NEXT = """
from rq.cron import CronJob
print(CronJob("default", len, cron="30 12 * * *").get_next_enqueue_time().strftime("%H:%M %Z"))
"""


@pytest.mark.parametrize(
    ("label", "before"), [("rq", ""), ("django-rq", "import django; django.setup()")]
)
def test_cron_lines_are_read_in_utc(label: str, before: str) -> None:
    """RQ reads them in local time, wherever the machine is."""
    setup = setup_of(label)
    own = registry.select(label).backend.worker_environment(setup)
    program = [sys.executable, "-c", before + NEXT]
    environment = {**os.environ, "TZ": "Asia/Kolkata", **own}
    seen = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    assert seen.stdout.split() == ["12:30", "UTC"]
