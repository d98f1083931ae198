"""Whatever dies, hangs or lies in a trial becomes a row with one clear sentence."""

from __future__ import annotations

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
from lab.validation.trial_row import Collected, collect
from tests.factories.trials import CONTEXT, run, spec_of

# Slow enough that something can be killed in the middle of it.
STEADY = Paced(200, rate_hz=100.0, gaps="uniform")


def alone(case: str) -> int:
    """Return a seed of a test's own: equal trials that run at once are found by equal labels."""
    return zlib.crc32(case.encode()) % 2**31


def run_and_kill(folder: Path, spec: TrialSpec, victim: str, phase: str = "measure") -> Collected:
    """Run a trial and kill the process whose command line holds `victim` as a phase begins."""

    def on_phase(name: str) -> None:
        if name == phase:
            mine = processes.labelled(lambda env: env.get(processes.TRIAL) == f"{spec.id}-1")
            victims = [p for p in mine if victim in " ".join(p.cmdline())]
            assert victims
            for process in victims:
                process.kill()

    return collect(trial.run(spec, 1, folder / spec.id, on_phase), CONTEXT)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("label", "victim", "words"),
    [
        ("celery[threads]", "redis-server", ["redis was killed by SIGKILL"]),
        ("rq[simple-worker]", "redis-server", ["redis was killed by SIGKILL"]),
        ("celery[threads]", "celery", ["node0 (", "was killed by SIGKILL"]),
        ("rq[simple-worker]", "lab.driver", ["The driver was killed by SIGKILL in phase measure"]),
        ("thread-pool", "lab.driver", ["The driver was killed by SIGKILL in phase measure"]),
    ],
)
def test_what_is_killed_in_mid_trial_is_named(
    label: str, victim: str, words: list[str], tmp_path: Path
) -> None:
    """The row says which part ended and how; its evidence is readable and nothing is left."""
    spec = spec_of(label, arrival=STEADY, seed=alone(victim))
    made = run_and_kill(tmp_path, spec, victim)
    assert made.row.status == "failed"
    assert all(word in made.row.reason for word in words), made.row.reason
    assert len(made.tables["submit"]) > 0
    left = processes.labelled(lambda env: env.get(processes.TRIAL, "").startswith(spec.id))
    assert left == []


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["boot", "verify", "warm_up"])
@pytest.mark.parametrize("label", ["rq[simple-worker]", "celery[threads]"])
def test_a_server_that_is_killed_is_the_reason_in_every_phase(
    label: str, phase: str, tmp_path: Path
) -> None:
    """And not what its client says of it, which ends first."""
    spec = spec_of(label, seed=alone(phase))
    row = run_and_kill(tmp_path, spec, "redis-server", phase).row
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
def test_a_driver_that_is_killed_is_named_with_its_phase(
    label: str, phase: str, tmp_path: Path
) -> None:
    """The reason names signal and phase, also between two: one begins as the one before ends."""
    # So long that the warm-up takes more than a second.
    spec = spec_of(label, "io", Burst(3), size=300_000, seed=alone(f"driver {phase}"))
    row = run_and_kill(tmp_path, spec, "lab.driver", phase).row
    assert row.status == "failed"
    assert row.reason.startswith(f"The driver was killed by SIGKILL in phase {phase}")


@pytest.mark.slow
@pytest.mark.parametrize("label", ["thread-pool", "process-pool", "asyncio", "celery[threads]"])
def test_a_task_that_hangs_meets_the_deadline(
    label: str, tmp_path: Path, misbehaving: dict[str, str]
) -> None:
    """The trial ends at its deadline, tells what is unfinished, and frees the machine."""
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
def test_a_wrong_answer_makes_the_trial_invalid(
    label: str, tmp_path: Path, misbehaving: dict[str, str]
) -> None:
    """A fast wrong answer is no result: the row is failed and invalid, and counts them."""
    spec = spec_of(label, misbehaving["LYING"], Burst(30), seed=0, warmup_tasks=0)
    row = run(tmp_path, spec).row
    assert (row.status, row.flag) == ("failed", "invalid")
    assert (row.n_corrupted, row.reason) == (3, "3 of 30 tasks gave a wrong answer.")


def test_a_worker_that_dies_loses_tasks_and_says_so(
    tmp_path: Path, misbehaving: dict[str, str]
) -> None:
    """A killed pool child breaks the pool: what was in it is counted, not forgotten."""
    spec = spec_of(
        "process-pool", misbehaving["DYING"], Burst(30), seed=0, warmup_tasks=0, deadline_s=2.0
    )
    row = run(tmp_path, spec).row
    assert row.status in ("timeout", "failed")
    assert row.n_partial >= 1
    assert row.n_done < 30


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """When every port tried is taken, the sentence quotes the server."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with pytest.raises(ClusterError, match=r"redis-server did not start: .*listening on port"):
            RedisService().start(tmp_path, (), {}, "p", lambda: taken)
    children = (" ".join(child.cmdline()) for child in psutil.Process().children())
    assert not any("redis-server" in words for words in children)


def test_a_port_taken_at_first_is_tried_elsewhere(tmp_path: Path) -> None:
    """Losing a race for a port costs a try and not the trial."""
    from lab.providers.servers import free_port

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        ports = iter([holder.getsockname()[1], free_port()])
        running = RedisService().start(tmp_path, (), {}, "p", lambda: next(ports))
    processes.stop(running.process)
    assert running.about.startswith("redis ")
