"""Three engines on one machine, each in a network namespace, joined into one swarm."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

N_HOSTS = 3
SWITCH, BRIDGE, SUBNET, POOL = "lab-switch", "bridge", "10.213.60", "10.214.0.0/16"
START_S, DATA_MIB, FREE_GIB = 60.0, 4_096, 6.0
LAYERS = "overlay2"
# Only root makes network namespaces; CI may use sudo without a password.
AS_ROOT = ["sudo", "-n", "--"] if os.geteuid() else []


def run(*command: str) -> str:
    """Run a program as root, and return its output; a failure shows its errors."""
    done = subprocess.run([*AS_ROOT, *command], capture_output=True, text=True, check=False)
    assert not done.returncode, f"{command}: {done.stderr}"
    return done.stdout.strip()


class SwarmHost:
    """An engine in a network namespace.

    Attributes:
        name: The name of the host in the swarm.
        ip: Its address on the bridge.
        address: The address of the engine.
    """

    def __init__(self, folder: Path, number: int, undo: contextlib.ExitStack) -> None:
        self.name, self.ip = f"n{number}", f"{SUBNET}.{10 + number}"
        self._folder = folder / self.name
        self.address = f"unix://{self._folder}/socket"
        self._process: subprocess.Popen[bytes] | None = None
        namespace = f"lab-{self.name}"
        run("ip", "netns", "add", namespace)
        undo.callback(run, "ip", "netns", "delete", namespace)
        pair = ("type", "veth", "peer", "name", "eth0", "netns", namespace)
        run("ip", "-netns", SWITCH, "link", "add", self.name, "master", BRIDGE, *pair)
        run("ip", "-netns", SWITCH, "link", "set", self.name, "up")
        run("ip", "-netns", namespace, "address", "add", f"{self.ip}/24", "dev", "eth0")
        for link in ("eth0", "lo"):
            run("ip", "-netns", namespace, "link", "set", link, "up")
        run("mkdir", str(self._folder))
        undo.callback(self._unmount)
        undo.callback(self.stop)

    def docker(self, *arguments: str) -> str:
        """Run Docker's command with the engine."""
        return run("docker", "--host", self.address, *arguments)

    def start(self) -> None:
        """Start the engine, and wait until it answers."""
        folder = self._folder
        command = [*AS_ROOT, "nsenter", f"--net=/run/netns/lab-{self.name}", "unshare", "--uts"]
        # The name of the host is the name of the node in the swarm.
        command += ["sh", "-c", 'hostname "$0" && exec "$@"', self.name, "dockerd"]
        command += [f"--host={self.address}", f"--data-root={folder}/data"]
        command += [f"--exec-root={folder}/run", f"--pidfile={folder}/pid", "--shutdown-timeout=5"]
        command += ["--userland-proxy=false", "--storage-driver=overlay2"]
        log_file = folder.with_suffix(".log")
        with log_file.open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(AssertionError):
                self.docker("version")
                return
            assert time.monotonic() < deadline, log_file.read_text()[-2_000:]
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop the engine with its containers, as the host does when it shuts down."""
        if self._process:
            run("pkill", "--pidfile", f"{self._folder}/pid")
            self._process.wait(60)
            self._process = None

    def leave(self) -> None:
        """Leave the swarm, if the engine runs."""
        if self._process:
            self.docker("swarm", "leave", "--force")

    def share_images_with(self, other: SwarmHost) -> None:
        """Copy the data of an engine that has stopped; nothing writes into its layers of images."""
        here, there = self._folder / "data", other._folder / "data"
        run("mkdir", str(there))
        run("cp", "--archive", "--link", f"{here}/{LAYERS}", str(there))
        others = ("find", str(here), "-mindepth", "1", "-maxdepth", "1", "!", "-name", LAYERS)
        run(*others, "-exec", "cp", "--archive", "{}", str(there), ";")

    def _unmount(self) -> None:
        """Remove the mounts that the engine has left."""
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
        for point in [line.split()[1] for line in mounts][::-1]:  # the last one first
            if Path(point).is_relative_to(self._folder):
                run("umount", "--lazy", point)


@contextlib.contextmanager
def swarm(folder: Path, images: Sequence[str]) -> Iterator[list[SwarmHost]]:
    """Run the engines, which have the images; yield them, the manager of the swarm first.

    The folder has a short path, because it contains sockets.
    """
    free_gib = psutil.virtual_memory().available / 2**30
    assert free_gib >= FREE_GIB, f"{free_gib:.1f} GiB of memory are free, and {FREE_GIB} are needed"
    with contextlib.ExitStack() as undo:
        # In memory: to load and remove images takes minutes on a disk.
        run("mount", "-t", "tmpfs", "-o", f"size={DATA_MIB}m", "tmpfs", str(folder))
        undo.callback(run, "umount", "--lazy", str(folder))
        # Not in the namespace of the machine, whose engine drops what crosses a bridge.
        run("ip", "netns", "add", SWITCH)
        undo.callback(run, "ip", "netns", "delete", SWITCH)
        run("ip", "-netns", SWITCH, "link", "add", BRIDGE, "type", "bridge")
        run("ip", "-netns", SWITCH, "link", "set", BRIDGE, "up")
        hosts = [SwarmHost(folder, 1 + i, undo) for i in range(N_HOSTS)]
        manager = hosts[0]
        manager.start()
        load = f"docker save {' '.join(images)} | docker --host {manager.address} load"
        run("bash", "-o", "pipefail", "-c", load)
        manager.stop()
        each(manager.share_images_with, hosts[1:])
        each(SwarmHost.start, hosts)
        init = ("swarm", "init", "--advertise-addr", manager.ip, "--default-addr-pool", POOL)
        manager.docker(*init)
        undo.callback(each, SwarmHost.leave, hosts)
        token = manager.docker("swarm", "join-token", "--quiet", "worker")
        for host in hosts[1:]:
            host.docker("swarm", "join", "--token", token, f"{manager.ip}:2377")
        yield hosts


def each(call: Callable[[SwarmHost], None], hosts: Sequence[SwarmHost]) -> None:
    """Call a function with each host at the same time."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(call, hosts))
