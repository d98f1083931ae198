"""Tests that each problem of the container engine is reported with the command that fixes it."""

from __future__ import annotations

import shutil
from collections import namedtuple
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.cli import check_engine
from lab.cli.check import Check, Health
from lab.core.errors import ClusterError
from lab.providers import images, swarm_hosts, swarm_images
from lab.providers.engine import Engine
from lab.providers.engine_errors import explain
from lab.providers.images import Image, Origin
from lab.providers.swarm_hosts import NO_SWARM, Host, Swarm

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - what shutil returns
NO_PERMISSION = "This user has no permission to use the container engine"


INFO = {"ServerVersion": "1.2", "Driver": "overlay2", "CgroupVersion": "2", "DockerRootDir": "."}
IMAGES = {
    "node": Image("lab-node:1", "sha256:1", Origin.LOCAL),
    "redis": Image("redis:7@sha256:0", "sha256:2", Origin.OFFICIAL),
}
ERRORS = {
    "rights": "permission denied while trying to connect to the Docker daemon socket",
    "stopped": "Cannot connect to the Docker daemon at unix:///s. Is the docker daemon running?",
    "compose": "docker: 'compose' is not a docker command.",
    "image": "Error response from daemon: no such image: lab-node:1: No such image: lab-node:1",
}


def containers(monkeypatch: pytest.MonkeyPatch, part: str = "", error: str = "") -> list[Check]:
    """Return the checks of an engine; `part` fails with the error text of a real engine."""

    def answer(name: str, answer: Any) -> Any:
        def call() -> Any:
            if name == part:
                raise ClusterError(explain(ERRORS[error]))
            return answer

        return call

    client = nullcontext(SimpleNamespace(info=answer("engine", INFO)))
    monkeypatch.setattr(check_engine, "engine", lambda: client)
    monkeypatch.setattr(
        check_engine, "find_engine", answer("compose", Engine("20.10", "2.26", "unix:s"))
    )
    monkeypatch.setattr(images, "present", answer("images", IMAGES))
    return list(check_engine.containers())


def test_an_engine_without_problems_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine, Compose, disk and images are reported with their versions."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**40))
    checks = containers(monkeypatch)
    assert [check.name for check in checks] == ["engine", "compose", "engine disk", "images"]
    assert {check.state for check in checks} == {Health.OK}
    assert checks[0].finding == "Docker 1.2, overlay2, cgroup version 2."
    finding = "On local software: node, redis. A run builds what it needs of: rabbitmq, postgres."
    assert checks[-1].finding == finding


def test_an_image_without_a_digest_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The content of an official image without a digest can change."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**40))
    monkeypatch.setitem(IMAGES, "redis", Image("redis:7", "sha256:2", Origin.OFFICIAL))
    check = containers(monkeypatch)[-1]
    assert (check.name, check.state) == ("image pins", Health.WARN)
    assert "redis:7" in check.finding
    assert "lab-node" not in check.finding
    assert check.fix == "nox -s images -- --lock"


@pytest.mark.parametrize(
    ("part", "error", "finding", "fix"),
    [
        ("engine", "rights", f"{NO_PERMISSION}.", "sudo usermod -aG docker"),
        ("engine", "stopped", "No container engine answers.", "sudo .ci/ensure-docker.sh"),
        ("compose", "compose", "Docker Compose v2 is missing.", "sudo .ci/ensure-docker.sh"),
        ("images", "image", "The image lab-node:1 is missing.", "nox -s images"),
    ],
)
def test_a_problem_of_containers_is_reported_with_its_fix(
    monkeypatch: pytest.MonkeyPatch, part: str, error: str, finding: str, fix: str
) -> None:
    """The first problem is reported; checks that depend on it are not run."""
    last = containers(monkeypatch, part, error)[-1]
    assert (last.name, last.state, last.finding) == (part, Health.WARN, finding)
    assert last.fix.startswith(fix)


def test_a_full_disk_of_the_engine_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine may store its images on another disk, or on another machine."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 2**30))
    check = check_engine.engine_disk(Path(), "unix:///s")
    assert (check.state, check.fix) == (Health.WARN, "docker system prune")
    assert check_engine.engine_disk(Path(), "ssh://engine").state == Health.OK


def swarm_checks(
    monkeypatch: pytest.MonkeyPatch, state: str, problem: str = "", missing: tuple[str, ...] = ()
) -> list[tuple[str, str, str, str]]:
    """Return the checks of an engine with a state in its swarm."""

    def find() -> Swarm:
        if problem:
            raise ClusterError(problem)
        return Swarm(HOST, HOST, (HOST,))

    client = nullcontext(SimpleNamespace(info=lambda: {"Swarm": {"LocalNodeState": state}}))
    monkeypatch.setattr(check_engine, "engine", lambda: client)
    monkeypatch.setattr(swarm_hosts, "find", find)
    lacking = [(HOST, SimpleNamespace(name=name)) for name in missing]
    monkeypatch.setattr(swarm_images, "lacking", lambda *_: lacking)
    monkeypatch.setattr(images, "present", lambda: IMAGES)
    checks = check_engine.swarm()
    return [(check.name, check.state.value, check.finding, check.fix) for check in checks]


HOST = Host("n1", "id", "", 2)


def test_a_machine_without_a_swarm_lacks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the user has named engines: then the command that makes a swarm is shown."""
    sentence = "This engine is in no swarm; --provider swarm needs one."
    assert swarm_checks(monkeypatch, "inactive") == [("swarm", "ok", sentence, "")]
    monkeypatch.setenv("LAB_ENGINES", "ssh://n2")
    (check,) = swarm_checks(monkeypatch, "inactive", NO_SWARM)
    assert check[:3] == ("swarm", "warn", "This engine manages no swarm.")
    assert check[3] == "docker swarm init --advertise-addr ADDRESS"


def test_the_hosts_of_a_swarm_and_their_missing_images_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each run copies what is missing."""
    fine, missing = swarm_checks(monkeypatch, "active", missing=("lab-node:1", "lab-redis:2"))
    assert fine[:3] == ("swarm", "ok", "Driver on n1, servers on n1, workers on n1.")
    assert "lab-node:1 on n1, lab-redis:2 on n1" in missing[2]
