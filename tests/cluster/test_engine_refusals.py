"""Tests with a real engine: a user without permission, and an image that fills its disk."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.cli import check_engine
from lab.core.errors import ClusterError
from lab.providers import choice, images
from lab.providers import engine as engine_module
from lab.providers.engine import _require_socket, engine
from lab.providers.images import builder, steps
from tests.factories.intruders import UNPRIVILEGED
from tests.factories.trials import run, spec_of

pytestmark = pytest.mark.cluster

REFUSED = (
    "This user has no permission to use the container engine. "
    "Run: sudo usermod -aG docker $USER, and log in again; "
    "or measure with --provider local."
)
DISK_MIB = 40


@pytest.fixture
def without_permission(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connect as a user who has no permission to open the engine's socket."""
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(temporary / "s"))
        (temporary / "s").chmod(0)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{temporary}/s")
        if not os.geteuid():  # root may open any socket
            monkeypatch.setattr(engine_module, "_require_socket", require_as_nobody)
        yield


def require_as_nobody(address: str, check: Callable[[str], None] = _require_socket) -> None:
    """Check the engine's socket as a user without any permission."""
    os.seteuid(UNPRIVILEGED)
    try:
        check(address)
    finally:
        os.seteuid(0)


@pytest.mark.usefixtures("without_permission")
def test_a_missing_permission_is_reported_everywhere(tmp_path: Path) -> None:
    """The choice of a provider, the doctor, `nox -s images` and a trial's row report it."""
    images.resolve.cache_clear()  # as in a fresh process
    assert choice.choose(None) == (
        "local",
        f"Provider: local (plain processes), because containers are not available. {REFUSED}",
    )
    (check,) = check_engine.containers()
    assert (check.name, check.state) == ("engine", "warn")
    assert f"{check.finding} Run: {check.fix}" == REFUSED
    with pytest.raises(ClusterError) as caught:
        images.build(lambda _: None)
    assert str(caught.value) == REFUSED
    row = run(tmp_path, spec_of("thread-pool", provider="compose")).row
    assert (row.status, row.reason) == ("failed", REFUSED)


@contextlib.contextmanager
def small_engine(folder: Path) -> Iterator[str]:
    """Run a second engine on a disk of a few MiB; yield its address."""
    disk, address = folder / "disk", f"unix://{folder}/engine.sock"
    disk.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(disk)], check=True
    )
    # In a separate network namespace: an engine without a bridge removes the machine's `docker0`.
    command = ["unshare", "--net", "dockerd", "--host", address, "--data-root", str(disk)]
    command += [f"--exec-root={folder}/run", f"--pidfile={folder}/pid", "--bridge=none"]
    command += ["--iptables=false", "--ip6tables=false", "--storage-driver=vfs"]
    with (folder / "engine.log").open("w") as log:
        engine = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not (folder / "engine.sock").exists() or not answers(address):
            assert engine.poll() is None, (folder / "engine.log").read_text()
            assert time.monotonic() < deadline, (folder / "engine.log").read_text()
            time.sleep(0.1)
        yield address
    finally:
        engine.terminate()
        engine.wait(60)
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def answers(address: str) -> bool:
    """Return whether an engine answers at an address."""
    with contextlib.suppress(ClusterError), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", address)
        with engine() as client:
            return bool(client.ping())
    return False


def test_a_build_that_fills_the_disk_is_reported(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message replaces the engine's output and has the next step."""
    monkeypatch.setattr(steps, "LOG", tmp_path / "build.log")
    content = os.urandom(2 * DISK_MIB << 20)
    recipe = b"FROM scratch AS node\nCOPY big /\n"
    tree = {"compose/Dockerfile": (recipe, False), "big": (content, False)}
    target = builder.ImageTarget("node", "lab-node:too-big", tree)
    with small_engine(temporary) as address:  # a short path, because it contains sockets
        monkeypatch.setenv("DOCKER_HOST", address)
        with pytest.raises(ClusterError) as caught:
            builder.make(target, "scratch", lambda _: None)
    assert str(caught.value) == "The container engine's disk is full. Run: docker system prune"
    assert steps.FULL in (tmp_path / "build.log").read_text()
