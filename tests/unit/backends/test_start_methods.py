"""Tests that the settings of a row have the start method of the processes, also if it is chosen."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Each label, and where its running pool has the context or the class of its processes.
USED = {
    "apscheduler[processes+late-runs]": "_scheduler._executors['default']._pool._mp_context",
    "joblib[multiprocessing]": "_parallel._backend._pool._ctx",
    "multiprocessing[spawn]": "_pool._ctx",
    "pipe[simple-queue]": "_processes[0]",
    "process-pool[spawn]": "_pool._mp_context",
}
DEFAULTS = ("joblib[multiprocessing]", "pipe[simple-queue]", "dramatiq[processes]")
# In a process of its own: helpers of a pool remain in the process that made it.
PROGRAM = """
import json, multiprocessing, sys
from lab.core.model import Service, Topology
from lab.planning import registry

label, place = sys.argv[1:]
chosen = registry.select(label)
endpoints = {str(Service.REDIS): "redis://:secret@127.0.0.1:6379/0"}
backend = chosen.backend(registry.setup(chosen, Topology(1, 2, 2), endpoints))
backend.start()
settings = backend.effective_settings()
used = eval(f"backend.{place}") if place else None
name = used and getattr(used, "_start_method", None) or used and used.get_start_method()
default = multiprocessing.get_all_start_methods()[0]
print(json.dumps([settings.get("start_method", settings.get("mp_context")), name, default]))
backend.stop()
"""


def methods(label: str, place: str = "") -> list[str]:
    """Return the start method in the settings of a system, that of its pool, and the default."""
    command = [sys.executable, "-c", PROGRAM, label, place]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    listed: list[str] = json.loads(done.stdout)
    return listed


@pytest.mark.parametrize("label", USED)
def test_the_start_method_is_that_of_the_running_pool(label: str) -> None:
    """Another release of a system, which chooses another one, cannot make it wrong."""
    stated, used, _ = methods(label, USED[label])
    assert stated == used


@pytest.mark.parametrize("label", DEFAULTS)
def test_a_system_without_a_choice_has_the_default_of_the_interpreter(label: str) -> None:
    """It is fork on Linux until Python 3.13, and forkserver from 3.14."""
    stated, _, default = methods(label)
    assert stated == default
