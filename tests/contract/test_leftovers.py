"""Tests that child processes of tasks end with their trial, and after the death of the lab."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from lab.core.model import Burst
from lab.host import process_marks
from lab.running import trial
from tests.unit.cli.test_main import begin, until
from tests.unit.worker.test_user_function import HERE, user_spec

N_TASKS = 5


def sleepers(lab: int) -> list[psutil.Process]:
    """Return the processes that `starts_child` has started in trials of the process `lab`."""
    asleep = (p for p in psutil.process_iter(["cmdline"]) if "4321" in (p.info["cmdline"] or ()))
    return [
        process for process in asleep if process_marks.lab_of(process_marks.read(process)) == lab
    ]


@pytest.mark.parametrize("label", ["inline", "thread-pool", "process-pool", "rq"])
def test_children_without_labels_end_with_their_trial_and_are_counted(
    tmp_path: Path, label: str
) -> None:
    """This includes children of tasks in the driver, and children whose parent has ended."""
    spec = user_spec(label, "starts_child", arrival=Burst(N_TASKS), warmup_tasks=0)
    outcome = trial.run_trial(spec, 1, tmp_path / spec.id, lambda _: None)
    assert outcome.status == "ok"
    # An uninstrumented burst starts the same number again.
    assert outcome.leftovers in {N_TASKS, 2 * N_TASKS}
    assert sleepers(os.getpid()) == []


@pytest.mark.slow
@pytest.mark.alone(beside="calm")  # another lab would also remove them when it starts
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT, signal.SIGHUP])
def test_children_without_labels_end_after_the_death_of_the_lab(
    tmp_path: Path, number: signal.Signals
) -> None:
    """The lab's watchdog finds them by their mark, and ends them."""
    options = ("-b", "process-pool", "--arrival", "paced", "--rate", "20", "--tasks", "400")
    lab = begin(
        "bench", "--task", f"{HERE}:starts_child", *options, "--cores", "1", "--blocks", "1",
        "--results", str(tmp_path),
    )  # fmt: skip
    until(lambda: len(sleepers(lab.pid)) > 2 * N_TASKS and list(tmp_path.glob("runs/*/trials/*")))
    lab.send_signal(number)
    lab.wait(60)
    until(lambda: not sleepers(lab.pid), seconds=5.0)
