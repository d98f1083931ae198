"""Tests that a failure in containers becomes a row whose reason has the next step."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.backends.celery import Celery
from lab.campaign import run_folder, runner
from lab.core.model import BackendContext, Burst, Command
from lab.planning.plan import Plan
from lab.providers import (
    choice,
    compose,
    compose_override,
    images,
    reaper,
    servers,
)
from lab.providers.compose import ComposeCluster
from lab.providers.compose_override import FILE
from lab.providers.compose_parts import ContainerPart, part_of
from lab.providers.container_process import ContainerProcess
from lab.providers.engine import engine
from lab.providers.engine_errors import NO_ENGINE
from lab.providers.images import Images
from lab.results.schema import TrialRow
from lab.running import trial
from lab.validation.trial_row import collect
from lab.worker import container
from tests.cluster.containers import elsewhere, left_of, standing
from tests.factories.trials import CONTEXT, run, spec_of

on_engine = pytest.mark.cluster
NOWHERE = "unix:///nowhere/docker.sock"
NO_DOCKER = "Docker's command is not installed. Run: sudo .ci/ensure-docker.sh"


@on_engine
@pytest.mark.usefixtures("containers")
@pytest.mark.parametrize("is_seen_late", [False, True])
def test_a_node_that_dies_at_boot_is_named_with_the_last_line_of_its_log(
    is_seen_late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason has the container and its exit code as well, and the log is saved.

    If the process ends after the engine has described it, the next call of the engine fails.
    """

    def dying(_: BackendContext) -> Sequence[Command]:
        return [Command((sys.executable, "-c", "raise SystemExit('no such queue')"), 1)]

    def late(details: Mapping[str, Any], address: str) -> ContainerPart:
        process = Path("/proc", str(details["State"]["Pid"]))
        while details["Config"]["Hostname"] == "node0" and process.exists():
            time.sleep(0.01)
        return part_of(details, address)

    monkeypatch.setattr(Celery, "node_commands", dying)
    if is_seen_late:
        monkeypatch.setattr(compose, "part_of", late)
    spec = spec_of("celery[prefork]", provider="compose")
    row = run(tmp_path, spec).row
    assert (row.status, row.reason) == ("failed", "node0 ended with code 1: no such queue")
    assert "no such queue" in (tmp_path / spec.id / "logs" / "node0.log").read_text()
    assert left_of(os.getpid()) == []


@on_engine
@pytest.mark.usefixtures("containers")
def test_a_container_that_is_killed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the driver's container is killed, its records are lost: a failed row, no exception."""
    start = ComposeCluster.start_driver

    def start_and_kill(cluster: ComposeCluster) -> ContainerProcess:
        driver = start(cluster)
        with engine() as client:
            client.api.kill(cluster.parts["driver"].id)
        return driver

    monkeypatch.setattr(ComposeCluster, "start_driver", start_and_kill)
    row = run(tmp_path, spec_of("thread-pool", provider="compose")).row
    assert row.status == "failed"
    assert "driver" in row.reason
    assert left_of(os.getpid()) == []


@on_engine
@pytest.mark.usefixtures("containers")
def test_a_broker_that_runs_out_of_memory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason shows the kernel's kill and the variable that raises the limit."""
    monkeypatch.setenv("LAB_SERVICES_MEMORY", "12m")
    spec = spec_of("celery[prefork]", "payload", Burst(300), size=200_000, provider="compose")
    row = run(tmp_path, spec).row
    assert row.status == "failed"
    assert row.reason.startswith("redis ")
    assert "LAB_SERVICES_MEMORY" in row.reason
    assert left_of(os.getpid()) == []


@on_engine
@pytest.mark.usefixtures("containers")
def test_a_broker_that_dies_at_boot_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lab does not wait for a server that has ended; the last line of its log is the reason."""
    monkeypatch.setattr(servers, "PERSISTENCE", {"none": "appendonly perhaps"})
    begin = time.monotonic()
    row = run(tmp_path, spec_of("celery[prefork]", provider="compose")).row
    assert row.status == "failed"
    assert row.reason.startswith("redis ended with code 1: ")
    assert time.monotonic() - begin < container.WAIT_S
    assert left_of(os.getpid()) == []


@on_engine
def test_a_missing_image_is_named(
    tmp_path: Path, containers: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is pulled during a campaign; the reason has the command that builds the image."""
    missing = replace(containers["node"], name="lab-node:missing")
    monkeypatch.setattr(images, "resolve", lambda _: missing)
    row = run(tmp_path, spec_of("thread-pool", provider="compose")).row
    assert row.status == "failed"
    assert "lab-node:missing" in row.reason
    assert "nox -s images" in row.reason


def test_without_an_engine_a_trial_fails_with_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the engine stops, a campaign continues with failed rows, and `down` does not hang."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    row = run(tmp_path, spec_of("thread-pool", provider="compose")).row
    assert row.status == "failed"
    assert "--provider local" in row.reason


def test_without_an_engine_the_local_provider_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line of `lab bench` has the provider and the reason; a requested one is used."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    name, why = choice.choose(None)
    assert name == "local"
    assert why.startswith("Provider: local (plain processes), because containers are not")
    assert choice.choose("compose") == ("compose", "Provider: compose (containers), as requested.")


def test_without_an_engine_there_is_nothing_to_reap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every start of the lab reaps; without an engine that does nothing and raises nothing."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    assert reaper.reap_dead() == 0


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put a link to Docker's command on the path as the only one; remove leftover objects."""
    real = shutil.which("docker")
    assert real
    link = tmp_path / "bin" / "docker"
    link.parent.mkdir()
    link.symlink_to(real)
    folders = os.environ["PATH"].split(os.pathsep)
    without = [folder for folder in folders if not shutil.which("docker", path=folder)]
    with monkeypatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([str(link.parent), *without]))
        yield link
    reaper.remove(left_of(os.getpid()))


@on_engine
@pytest.mark.usefixtures("containers")
def test_a_trial_fails_if_the_docker_command_disappears(tmp_path: Path, program: Path) -> None:
    """Only the start of containers uses the command, which is the one of Compose."""
    spec = spec_of("celery[prefork]", provider="compose")
    outcome = trial.run_trial(spec, 1, tmp_path / spec.id, lambda _: program.unlink())
    row = collect(outcome, CONTEXT).row
    assert row.status == "failed"
    assert NO_DOCKER in row.reason


@on_engine
@pytest.mark.usefixtures("containers")
@pytest.mark.parametrize("phase", ["up", "boot", "measure", "stop"])
def test_a_trial_fails_if_the_engine_disappears(
    phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every phase, the reason has the next step, and the trial ends at once."""
    spec = spec_of("celery[prefork]", provider="compose")
    with elsewhere() as remote, monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", remote.address)

        def on_phase(name: str) -> None:
            if name == phase:
                remote.cut()

        row = collect(trial.run_trial(spec, 1, tmp_path / spec.id, on_phase), CONTEXT).row
    reaper.remove(left_of(os.getpid()))
    assert row.status == "failed"
    assert NO_ENGINE in row.reason
    assert left_of(os.getpid()) == []


class RemovesDocker:
    """An observer of a campaign that removes Docker's command for one trial."""

    def __init__(self, program: Path, n_before: int) -> None:
        self._program = program
        self._target = program.readlink()
        self._n_before = n_before

    def trial(self, _: object) -> None:
        """Remove the command before the chosen trial."""
        if self._n_before == 0:
            self._program.unlink()

    def row(self, row: TrialRow) -> None:
        """Restore the command after the chosen trial."""
        self._n_before -= 1
        if row.status == "failed":
            self._program.symlink_to(self._target)

    def begin(self, *_: object) -> None:
        """Ignore all other events."""

    phase = note = between_blocks = begin


@on_engine
@pytest.mark.usefixtures("containers")
def test_a_campaign_continues_after_the_docker_command_was_missing(
    tmp_path: Path, program: Path
) -> None:
    """The command is missing for one of three trials: one failed row, and two that are ok."""
    specs = tuple(
        spec_of("thread-pool", arrival=Burst(n), provider="compose") for n in (20, 21, 22)
    )
    new = run_folder.Run(Plan(specs, ()), "quick", seed=1, reruns=0, command="lab bench")
    store = run_folder.create(tmp_path, new)
    rows = runner.execute(store, new, RemovesDocker(program, 1))
    assert [row.status for row in rows] == ["ok", "failed", "ok"]
    assert rows[1].reason.startswith(NO_DOCKER)
    assert store.read("trial").status.tolist() == ["ok", "failed", "ok"]
    store.check()


@on_engine
@pytest.mark.usefixtures("containers")
def test_a_subnet_that_is_in_use_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no subnet is free, the trial fails with the next step, and its objects are removed."""
    with engine() as client:
        bridge = client.api.inspect_network("bridge")
    subnet = bridge["IPAM"]["Config"][0]["Subnet"]
    taken = f"ipam: {{config: [{{subnet: {subnet}}}]}}"
    file = tmp_path / FILE.name
    file.write_text(FILE.read_text().replace("internal: true", f"internal: true\n    {taken}"))
    for module in (compose, compose_override):
        monkeypatch.setattr(module, "FILE", file)
    row = run(tmp_path, spec_of("thread-pool", provider="compose")).row
    assert row.status == "failed"
    assert row.reason.startswith("No subnet is free for the cluster's network. Run: docker network")
    assert left_of(os.getpid()) == []


@on_engine
@pytest.mark.usefixtures("containers")
def test_records_are_copied_although_another_file_changes(tmp_path: Path) -> None:
    """A backend's database in the trial's folder may change while the folder is packed."""
    # The file is large enough to change while it is packed.
    busy = "head -c 20000000 /dev/urandom > /trial/kept; while :; do echo >> /trial/kept; done"
    with standing(spec_of("thread-pool", provider="compose"), tmp_path) as cluster:
        with engine() as client:
            driver = client.containers.get(cluster.parts["driver"].id)
            driver.exec_run(["sh", "-c", busy], detach=True)
        time.sleep(1.0)
    assert (tmp_path / "kept").exists()
