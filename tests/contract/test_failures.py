"""Tests that a killed process, a hanging task or a wrong answer becomes a row with its reason."""

from __future__ import annotations

import contextlib
import socket
import zlib
from pathlib import Path

import psutil
import pytest

from lab.core.errors import ClusterError
from lab.core.model import Burst, Paced, Topology, TrialSpec
from lab.driver.driver import PHASES
from lab.host import processes
from lab.providers.servers import RedisService
from lab.running import trial
from lab.validation.trial_row import TrialResult, collect
from tests.factories.servers import REDIS_SERVER
from tests.factories.trials import CONTEXT, run, spec_of

# Slow enough that a process can be killed in the middle of it.
STEADY = Paced(200, rate_hz=100.0, gaps="uniform")


def seed_of(case: str) -> int:
    """Return a distinct seed for a test, because equal trials have equal labels on processes."""
    return zlib.crc32(case.encode()) % 2**31


def run_and_kill(folder: Path, spec: TrialSpec, victim: str, phase: str = "measure") -> TrialResult:
    """Run a trial; at the start of a phase, kill the processes whose command contains `victim`."""

    def on_phase(name: str) -> None:
        if name == phase:
            running = processes.labelled(lambda env: env.get(processes.TRIAL) == f"{spec.id}-1")
            victims = [p for p in running if victim in _command_of(p)]
            assert victims
            for process in victims:
                process.kill()

    return collect(trial.run_trial(spec, 1, folder / spec.id, on_phase), CONTEXT)


def _command_of(process: psutil.Process) -> str:
    """Return the command line of a process; empty if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("label", "victim", "messages"),
    [
        ("celery[threads]", REDIS_SERVER, ["redis was killed by SIGKILL"]),
        ("rq[simple-worker]", REDIS_SERVER, ["redis was killed by SIGKILL"]),
        ("celery[threads]", "celery", ["node0 (", "was killed by SIGKILL"]),
        ("rq[simple-worker]", "lab.driver", ["The driver was killed by SIGKILL in phase measure"]),
        ("thread-pool", "lab.driver", ["The driver was killed by SIGKILL in phase measure"]),
    ],
)
def test_row_names_a_process_that_is_killed_in_the_window(
    label: str, victim: str, messages: list[str], tmp_path: Path
) -> None:
    """The reason has process and signal; the tables are readable, and no process remains."""
    spec = spec_of(label, arrival=STEADY, seed=seed_of(victim))
    result = run_and_kill(tmp_path, spec, victim)
    assert result.row.status == "failed"
    assert all(message in result.row.reason for message in messages), result.row.reason
    assert len(result.tables["submit"]) > 0
    remaining = processes.labelled(lambda env: env.get(processes.TRIAL, "").startswith(spec.id))
    assert remaining == []


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["boot", "verify", "warm_up"])
@pytest.mark.parametrize("label", ["rq[simple-worker]", "celery[threads]"])
def test_row_names_a_server_that_is_killed_in_any_phase(
    label: str, phase: str, tmp_path: Path
) -> None:
    """The reason is the server's end, not the error of its client, which ends first."""
    spec = spec_of(label, seed=seed_of(phase))
    row = run_and_kill(tmp_path, spec, REDIS_SERVER, phase).row
    assert row.status == "failed"
    assert row.reason.startswith("redis was killed by SIGKILL")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("label", "phase"),
    # A pool boots and proves its workers faster than it can be killed. In `stop` the trial's end is
    # already written.
    [("celery[threads]", phase) for phase in PHASES[:-1]]
    + [("thread-pool", phase) for phase in PHASES[2:-1]],
)
def test_row_names_a_killed_driver_with_its_phase(label: str, phase: str, tmp_path: Path) -> None:
    """The reason has the signal and the phase."""
    # So long that the warm-up takes more than a second.
    spec = spec_of(label, "io", Burst(3), size=300_000, seed=seed_of(f"driver {phase}"))
    row = run_and_kill(tmp_path, spec, "lab.driver", phase).row
    assert row.status == "failed"
    assert row.reason.startswith(f"The driver was killed by SIGKILL in phase {phase}")


@pytest.mark.slow
@pytest.mark.parametrize("label", ["thread-pool", "process-pool", "asyncio", "celery[threads]"])
def test_hanging_task_ends_the_trial_at_its_deadline(
    label: str, tmp_path: Path, misbehaving: dict[str, str]
) -> None:
    """The trial is a timeout, and its row counts the unfinished tasks."""
    spec = spec_of(
        label,
        misbehaving["HANGING"],
        Burst(20),
        Topology(1, 2, 2),
        seed=0,
        deadline_s=2.0,
        warmup_tasks=0,
    )
    row = run(tmp_path, spec).row
    assert row.status == "timeout"
    assert "unfinished 2 s after the last was offered" in row.reason
    assert row.n_censored > 0
    assert row.n_partial >= 1
    assert row.n_done + row.n_censored == 20


@pytest.mark.parametrize("label", ["thread-pool", "rq[simple-worker]"])
def test_wrong_answer_makes_the_trial_invalid(
    label: str, tmp_path: Path, misbehaving: dict[str, str]
) -> None:
    """The row is failed and invalid, and counts the wrong answers."""
    spec = spec_of(label, misbehaving["LYING"], Burst(30), seed=0, warmup_tasks=0)
    row = run(tmp_path, spec).row
    assert (row.status, row.flag) == ("failed", "invalid")
    assert (row.n_wrong_answer, row.reason) == (3, "3 of 30 tasks gave a wrong answer.")


def test_tasks_of_a_dead_worker_are_counted(tmp_path: Path, misbehaving: dict[str, str]) -> None:
    """A killed process breaks the pool; its unfinished tasks are counted as partial."""
    spec = spec_of(
        "process-pool", misbehaving["DYING"], Burst(30), seed=0, warmup_tasks=0, deadline_s=2.0
    )
    row = run(tmp_path, spec).row
    assert row.status in ("timeout", "failed")
    assert row.n_partial >= 1
    assert row.n_done < 30


def test_server_without_a_free_port_is_an_error(tmp_path: Path) -> None:
    """If every port that is tried is in use, the message quotes the server."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ClusterError, match=rf"{REDIS_SERVER} did not start: .*listening"):
            RedisService().start(tmp_path, (), {}, "p", lambda: port)
    commands = (" ".join(child.cmdline()) for child in psutil.Process().children())
    assert not any(REDIS_SERVER in command for command in commands)


def test_server_tries_another_port_if_the_first_is_in_use(tmp_path: Path) -> None:
    """A lost race for a port costs an attempt, not the trial."""
    from lab.providers.servers import free_port

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        ports = iter([holder.getsockname()[1], free_port()])
        running = RedisService().start(tmp_path, (), {}, "p", lambda: next(ports))
    processes.stop(running.process)
    assert running.about.startswith(("redis ", "valkey "))
