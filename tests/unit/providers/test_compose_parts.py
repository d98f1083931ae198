"""Tests which processes of a container are workers, children and the driver."""

from __future__ import annotations

from lab.providers.compose_parts import INIT, Process, below, driver_of, workers_of
from lab.worker import container

INIT_ITSELF = Process(INIT, 0, ["/sbin/docker-init", "--", "celery"])
AGENT = Process(50, 0, ["python", "-m", "lab.recording.inside_container"])


def test_a_single_command_is_the_worker() -> None:
    """Its children, and theirs, are below it; the lab's own program is not."""
    tree = [INIT_ITSELF, AGENT, Process(7, INIT, ["celery"]), Process(9, 7, ["celery"])]
    tree.append(Process(12, 9, ["sh"]))
    assert workers_of(tree) == [7]
    assert [*below(tree, [7])] == [9, 12]


def test_each_command_of_a_launcher_is_a_worker() -> None:
    """The launcher executes no task."""
    launcher = Process(7, INIT, ["python", "-m", container.__name__, "node"])
    tree = [INIT_ITSELF, AGENT, launcher, Process(8, 7, ["rq"]), Process(9, 7, ["rq"])]
    assert workers_of(tree) == [8, 9]


def test_the_driver_was_started_by_the_engine() -> None:
    """Its children have the same command line, and come after it."""
    words = ["python", "-m", "lab.driver", "/trial"]
    tree = [INIT_ITSELF, Process(7, INIT, ["sleep"]), Process(21, 20, words), Process(20, 0, words)]
    assert driver_of(tree) == [20, 21]
    assert driver_of([INIT_ITSELF, AGENT]) == []
