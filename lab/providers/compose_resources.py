"""Lets faults take network, disk and clock from the containers of a cluster.

The network of a container is changed by a program in a helper container that shares it, so that
the measured container has no capability. A rule or an interface ends with the network itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from lab.core.errors import ClusterError
from lab.core.fault_hooks import BY_SIGNALS
from lab.core.faults import FaultKind, Target
from lab.core.model import Service
from lab.core.provider import TrialContext
from lab.host import faked_clock, wall_clock
from lab.providers import container_process
from lab.providers.compose_faults import ComposeFaults
from lab.providers.compose_override import CLOCK, DATA_FOLDERS, DISKS, DRIVER, ENDPOINTS, NODE
from lab.providers.helper_container import HelperContainer

# Where the files of disks that can forget are, in a helper; RabbitMQ reserves 50 MB of its disk.
IMAGES, DISK_BYTES = "/images", 256 << 20
FILLING = "filling"
# Writes until no byte is left, then prints the free KiB.
FILL = (
    "for size in 1M 4k 1; do dd if=/dev/zero of={file} bs=$size oflag=append conv=notrunc; done "
    "2>/dev/null; df -Pk {folder} | awk 'NR == 2 {{print $4}}'"
)


class ResourceFaults(ComposeFaults):
    """The hooks of the faults of network, disk and clock."""

    faults = BY_SIGNALS | {
        FaultKind.NETWORK_CUT,
        FaultKind.NETWORK_SLOW,
        FaultKind.BROKER_DISK_FULL,
        FaultKind.CLOCK_STEP,
        FaultKind.POWER_LOSS,
    }

    def __init__(self, site: TrialContext) -> None:
        super().__init__(site)
        # The devices of the disks that can forget, by server.
        self.devices: dict[str, str] = {}
        self._disks: HelperContainer | None = None
        self._mounts: dict[str, HelperContainer] = {}

    def arm(self) -> None:
        """Start the helpers of the network as well."""
        super().arm()
        kind = self.site.spec.fault.kind if self.site.spec.fault else None
        for name in self.parts:
            is_cut = kind is FaultKind.NETWORK_CUT and name.startswith(NODE)
            if is_cut or (kind is FaultKind.NETWORK_SLOW and name in ENDPOINTS):
                self._helper(name)
            if name in self.devices:
                self._mount(name)

    def disarm(self) -> None:
        """Stop the agents, also those of the disks."""
        super().disarm()
        for helper in filter(None, [self._disks, *self._mounts.values()]):
            helper.agent.stop()

    def cut(self, part: str) -> str:
        """Take the interfaces of a container down: its connections stay open, nothing passes."""
        # The engine's disconnect would give the container another address.
        return f"interfaces up: {self._helper(part).ask('link', 0)}"

    def reconnect(self, part: str) -> str:
        """Take the interfaces of a container up; its addresses are the same."""
        return f"interfaces up: {self._helper(part).ask('link', 1)}"

    def slow(self, part: str, ms: float) -> str:
        """Hold each packet of a server for half of `ms`, in each direction."""
        before_ms = self._round_trip_ms(part)
        self._helper(part).ask("slow", ms / 2)
        self.struck_ns = time.monotonic_ns()
        slow_ms = self._round_trip_ms(part)
        if slow_ms - before_ms < ms / 2:
            self._helper(part).ask("unslow")
            raise ClusterError(
                f"A round trip to {part} takes {slow_ms:.3f} ms with a delay of {ms:g} ms, and "
                f"{before_ms:.3f} ms without."
            )
        return (
            f"round trip {before_ms:.3f} ms, then {slow_ms:.3f} ms: NFQUEUE holds each packet "
            f"for {ms / 2:g} ms"
        )

    def unslow(self, part: str) -> str:
        """Let the packets of a server pass at once."""
        self._helper(part).ask("unslow")
        return f"round trip {self._round_trip_ms(part):.3f} ms"

    def _round_trip_ms(self, part: str) -> float:
        port = urlsplit(ENDPOINTS[Service(part)]).port
        return float(self._agent(DRIVER).ask("round_trip_ms", part, port))

    def step_clock(self, target: Target, step_s: float) -> str:
        """Step the wall clock of all processes of a container."""
        n_faked = self._agent(target.part).ask("step_clock", CLOCK, step_s)
        self.struck_ns = time.monotonic_ns()
        argv = ("python", "-m", wall_clock.__name__)
        offsets_ns = container_process.run(self.parts[target.part].id, *argv)
        return faked_clock.proof(step_s, offsets_ns, n_faked)

    def make_disks(self, servers: Iterable[str]) -> None:
        """Make a disk for each server whose power a fault cuts, before the server starts."""
        fault = self.site.spec.fault
        if fault is None or fault.kind is not FaultKind.POWER_LOSS:
            return
        self._disks = HelperContainer(
            self._labels(),
            self._log("disks"),
            cap_add=["SYS_ADMIN", "MKNOD"],
            device_cgroup_rules=["b 7:* rwm", "c 10:237 rwm"],
            network_mode="none",
            tmpfs={IMAGES: "size=600m"},
        )
        for name in set(DATA_FOLDERS) & {*servers}:
            # The kernel lists the file of each loop device: its name leads to the trial.
            image = f"{IMAGES}/{self.run}-{name}"
            self.devices[name] = self._disks.agent.ask("make_disk", image, DISK_BYTES)

    def _mount(self, name: str) -> None:
        """Mount the disk of a server in a helper as well, which can then shut it down."""
        self._mounts[name] = HelperContainer(
            self._labels(),
            self._log("disks"),
            cap_add=["SYS_ADMIN"],
            network_mode="none",
            volumes={f"{self.run}_{name}": {"bind": f"{DISKS}/{name}"}},
        )
        # The files of the server's start are old: only writes since then can be lost.
        self._mounts[name].agent.ask("sync", f"{DISKS}/{name}")

    def lose_power(self, target: Target) -> str:
        """Kill a server, and shut its file system down without a flush of its writes."""
        mount = self._mounts.pop(target.part, None)
        if mount is None:
            raise ClusterError(f"{target} has no disk that forgets.")
        killed = self.kill(target)
        forgotten = mount.agent.ask("forget", f"{DISKS}/{target.part}")
        # The engine mounts the disk again, which recovers it, only if no container has it mounted.
        mount.remove()
        return f"{killed}; {forgotten}"

    def restart(self, part: str) -> None:
        """Start a container again, and prepare the next loss of its power."""
        super().restart(part)
        # A server that ends again and again has its helper from the first restart.
        if part in self.devices and part not in self._mounts:
            self._mount(part)

    def fill_disk(self, part: str) -> str:
        """Fill the data folder of a server, whose size is limited in such a trial."""
        # From the driver's container: RabbitMQ ends when its disk has no byte left.
        script = FILL.format(file=f"{DISKS}/{part}/{FILLING}", folder=f"{DISKS}/{part}")
        free = container_process.run(self.parts[DRIVER].id, "sh", "-c", script).decode().strip()
        if free != "0":
            raise ClusterError(f"The disk of {part} has {free} KiB left.")
        return f"0 KiB free in {DATA_FOLDERS[part]}"

    def free_disk(self, part: str) -> str:
        """Remove what `fill_disk` has written."""
        container_process.run(self.parts[DRIVER].id, "rm", f"{DISKS}/{part}/{FILLING}")
        return f"{FILLING} was removed from {DATA_FOLDERS[part]}"
