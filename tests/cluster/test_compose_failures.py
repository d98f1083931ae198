"""What goes wrong in containers becomes a row with one sentence and its next step."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import Popen

import pytest

from lab.backends.celery import Celery
from lab.campaign import run_folder, runner
from lab.core.model import Burst, Command, Setup
from lab.host import child_environment
from lab.planning.plan import Plan
from lab.providers import choice, compose, compose_override, images, reaper, user_code
from lab.providers.compose import ComposeCluster
from lab.providers.compose_override import FILE
from lab.providers.engine import docker
from lab.providers.images import Images
from lab.results.schema import TrialRow
from lab.running import trial
from lab.validation.trial_row import collect
from lab.worker import container
from tests.cluster.containers import left_of, standing
from tests.factories.trials import CONTEXT, run, spec_of

on_engine = pytest.mark.cluster
NOWHERE = "unix:///nowhere/docker.sock"
NO_DOCKER = "Docker is not installed. Run: sudo .ci/ensure-docker.sh"


@on_engine
@pytest.mark.usefixtures("containers")
def test_a_node_that_dies_at_boot_is_named_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row names the container, its exit code and the last line of its log, which is kept."""

    def dying(_: Setup) -> Sequence[Command]:
        return [Command((sys.executable, "-c", "raise SystemExit('no such queue')"), 1)]

    monkeypatch.setattr(Celery, "node_commands", dying)
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
    """When the driver's own container goes, its records go too: a failed row, and no exception."""
    start = ComposeCluster.start_driver

    def doomed(cluster: ComposeCluster) -> Popen[bytes]:
        started = start(cluster)
        docker("kill", cluster.parts["driver"].id)
        return started

    monkeypatch.setattr(ComposeCluster, "start_driver", doomed)
    row = run(tmp_path, spec_of("thread-pool", provider="compose")).row
    assert row.status == "failed"
    assert "driver" in row.reason
    assert left_of(os.getpid()) == []


@on_engine
@pytest.mark.usefixtures("containers")
def test_a_broker_that_runs_out_of_memory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's kill shows in the row, with the variable that raises the limit."""
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
    """Nobody waits for a server that has ended; its last words are the reason."""
    name = "LAB_REDIS_APPENDONLY"  # which a user's shell does not decide
    monkeypatch.setattr(child_environment, "ENGINE", (*child_environment.ENGINE, name))
    monkeypatch.setenv(name, "perhaps")
    begun = time.monotonic()
    row = run(tmp_path, spec_of("celery[prefork]", provider="compose")).row
    assert row.status == "failed"
    assert row.reason.startswith("redis ended with code 1: ")
    assert time.monotonic() - begun < container.WAIT_S
    assert left_of(os.getpid()) == []


@on_engine
def test_a_missing_image_is_named(
    tmp_path: Path, containers: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is pulled in the middle of a campaign: the sentence says how to have the image."""
    without = replace(containers, node=replace(containers.node, name="lab-node:nobody-made-it"))
    monkeypatch.setattr(images, "resolve", lambda: without)
    row = run(tmp_path, spec_of("thread-pool", provider="compose")).row
    assert row.status == "failed"
    assert "lab-node:nobody-made-it" in row.reason
    assert "nox -s images" in row.reason


def test_an_engine_that_is_gone_makes_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A campaign whose engine stops goes on with failed rows, and `down` does not hang."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    row = run(tmp_path, spec_of("thread-pool", provider="compose")).row
    assert row.status == "failed"
    assert "--provider local" in row.reason


def test_without_an_engine_local_is_chosen_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line of a bench names the provider and why; who asked gets what was requested."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    name, why = choice.choose(None)
    assert name == "local"
    assert why.startswith("Clusters: local processes, not containers. ")
    assert choice.choose("compose") == ("compose", "Clusters: compose, as requested.")


def test_without_an_engine_there_is_nothing_to_reap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every start looks for remains; a machine without an engine does not mind."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)
    assert reaper.reap_dead() == 0


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Docker's command as a link, the only one on the path; what is left is removed afterwards."""
    real = shutil.which("docker")
    assert real
    link = tmp_path / "bin" / "docker"
    link.parent.mkdir()
    link.symlink_to(real)
    others = os.environ["PATH"].split(os.pathsep)
    others = [one for one in others if not shutil.which("docker", path=one)]
    with monkeypatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([str(link.parent), *others]))
        yield link
    reaper.remove(left_of(os.getpid()))


@on_engine
@pytest.mark.usefixtures("containers")
@pytest.mark.parametrize("phase", ["up", "boot", "measure", "stop"])
def test_a_docker_program_that_disappears_in_a_trial_is_its_reason(
    phase: str, tmp_path: Path, program: Path
) -> None:
    """A sentence in every phase; the records that are still in the container are missing."""
    spec = spec_of("celery[prefork]", provider="compose")

    def on_phase(name: str) -> None:
        if name == phase:
            program.unlink()

    row = collect(trial.run(spec, 1, tmp_path / spec.id, on_phase), CONTEXT).row
    assert row.status == "failed"
    assert NO_DOCKER in row.reason


class Unplugging:
    """Watches a campaign; removes Docker's command before a trial and puts it back after."""

    def __init__(self, program: Path, n_before: int) -> None:
        self._program, self._real, self._left = program, program.readlink(), n_before

    def trial(self, _: object) -> None:
        """Remove it before the trial whose turn it is."""
        if self._left == 0:
            self._program.unlink()

    def row(self, row: TrialRow) -> None:
        """Put it back."""
        self._left -= 1
        if row.status == "failed":
            self._program.symlink_to(self._real)

    def begin(self, *_: object) -> None:
        """Hear of the rest."""

    phase = note = begin


@on_engine
@pytest.mark.usefixtures("containers")
def test_a_campaign_goes_on_without_docker(tmp_path: Path, program: Path) -> None:
    """It disappears between two trials: one failed row, and the others are as they should be."""
    specs = tuple(
        spec_of("thread-pool", arrival=Burst(n), provider="compose") for n in (20, 21, 22)
    )
    asked = run_folder.Run(Plan(specs, ()), "quick", seed=1, reruns=0, command="lab bench")
    store = run_folder.create(tmp_path, asked)
    rows = runner.execute(store, asked, Unplugging(program, 1))
    assert [row.status for row in rows] == ["ok", "failed", "ok"]
    assert rows[1].reason.startswith(NO_DOCKER)
    assert store.read("trial").status.tolist() == ["ok", "failed", "ok"]
    store.check()


@on_engine
@pytest.mark.usefixtures("containers")
def test_a_subnet_that_is_taken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that has no subnet for the cluster gets a sentence; what was begun is removed."""
    told = json.loads(docker("network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]["Subnet"]
    taken = f"ipam: {{config: [{{subnet: {told}}}]}}"
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
def test_records_are_fetched_while_a_system_still_writes(tmp_path: Path) -> None:
    """A database beside the ledger may change under the copy, which is no reason to have none."""
    # So big that it changes for sure while it is packed.
    busy = "head -c 20000000 /dev/urandom > /trial/kept; while :; do echo >> /trial/kept; done"
    with standing(spec_of("thread-pool", provider="compose"), tmp_path) as cluster:
        docker("exec", "--detach", cluster.parts["driver"].id, "sh", "-c", busy)
        time.sleep(1.0)
    assert (tmp_path / "kept").exists()


def test_an_archive_writes_below_its_folder_only(tmp_path: Path) -> None:
    """What comes out of a container is data: plain files below the trial's folder, no more."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("./ledger/0.bin", "../escaped", "/absolute", "status.json"):
            member = tarfile.TarInfo(name)
            member.size = 2
            archive.addfile(member, io.BytesIO(b"ok"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    user_code.unpack(packed.getvalue(), tmp_path / "trial")
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()}
    assert found == {"trial/ledger/0.bin", "trial/status.json"}
