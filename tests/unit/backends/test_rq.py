"""Tests the common parts of RQ and Django-RQ: effective settings, preloading, and cron jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.core.backend import JOBS, jobs_to_json, setup_to_json
from lab.core.model import BackendContext, Job, Service, Topology
from lab.planning import registry


def setup_of(label: str) -> BackendContext:
    """Return the setup of a label's adapter for two slots."""
    endpoints: dict[str, str] = {Service.REDIS: "redis://127.0.0.1:6379/0"}
    return registry.setup(registry.select(label), Topology(1, 2, 2), endpoints)


@pytest.mark.parametrize(
    ("label", "interval_s", "ttl_s"),
    [("rq", 600, 420), ("rq@safe", 15, 30), ("rq[worker-pool]@safe", 600, 420)],
)
def test_effective_settings_match_the_commands_options(
    label: str, interval_s: int, ttl_s: int
) -> None:
    """A profile's settings are options of the command; the others are RQ's defaults."""
    setup = setup_of(label)
    backend = registry.backends()["rq"](setup)
    settings = backend.effective_settings()
    assert (settings["maintenance_interval"], settings["worker_ttl"]) == (interval_s, ttl_s)
    command = " ".join(backend.node_commands(setup)[0].argv)
    options = f"--maintenance-interval {interval_s} --worker-ttl {ttl_s}"
    assert (options in command) == (ttl_s != 420)


def run(*module: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module with this interpreter and return its output and exit code."""
    merged = {**os.environ, **environment}
    command = [sys.executable, "-m", *module]
    return subprocess.run(command, env=merged, capture_output=True, text=True, check=False)


def test_preloading_imports_workloads_and_runs_the_command(tmp_path: Path) -> None:
    """The command runs as the main module, with its arguments and the imported workloads."""
    program = "import sys; print(__name__, 'workloads.cpu' in sys.modules, *sys.argv[1:])"
    (tmp_path / "command.py").write_text(program)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = run("lab.backends._rq.preloading", "command", "--first", "second", PYTHONPATH=path)
    assert done.stdout.split() == ["__main__", "True", "--first", "second"], done.stderr


def test_cron_rejects_intervals_of_fractional_seconds(tmp_path: Path) -> None:
    """RQ's intervals are whole seconds; rounding would change the schedule."""
    jobs = (Job(7, "workloads.noop:run", 1, every_s=0.5),)
    (tmp_path / JOBS).write_text(jobs_to_json(jobs), encoding="utf-8")
    setup = setup_to_json(setup_of("rq"))
    done = run("lab.backends._rq.cron", LAB_SETUP=setup, LAB_LEDGER=str(tmp_path / "ledger"))
    assert done.returncode
    assert "RQ needs intervals of whole seconds; job 7 has 0.5 s." in done.stderr


NEXT = """
from rq.cron import CronJob
print(CronJob("default", len, cron="30 12 * * *").get_next_enqueue_time().strftime("%H:%M %Z"))
"""


@pytest.mark.parametrize(
    ("label", "preparation"), [("rq", ""), ("django-rq", "import django; django.setup()")]
)
def test_cron_expressions_are_in_utc(label: str, preparation: str) -> None:
    """RQ interprets them in local time, so the worker's environment sets UTC."""
    setup = setup_of(label)
    variables = registry.select(label).backend.worker_environment(setup)
    program = [sys.executable, "-c", preparation + NEXT]
    environment = {**os.environ, "TZ": "Asia/Kolkata", **variables}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["12:30", "UTC"]
