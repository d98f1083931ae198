"""Kills labs between a hit and its healing: ``python -m tests.contract.fault_kills N``.

Each lab runs one trial with one fault. It gets SIGKILL with its watchdog at a random instant after
the hit, so that neither heals the fault. Then either the next lab or `lab clean` must remove
everything. All counts except `kills` must be 0. What remains is found without the lab's marks: by
this process, which is the parent of all orphans, and by a comparison of the engine's objects.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import psutil

from lab.core.errors import ClusterError
from lab.host import processes
from lab.providers import container_process, reaper
from lab.providers.compose_resources import FILLING
from lab.providers.container_events import SERVICE
from lab.providers.engine import engine
from tests.contract.kills import GONE_S, adopt_orphans, role_of, survivors

# Seconds from each hit to its end.
LASTS_S = 6
OF_PROCESSES = (
    *(f"worker-pause:{LASTS_S}s", f"broker-pause:{LASTS_S}s"),
    *(f"worker-kill:restart-{LASTS_S}s", f"broker-kill:restart-{LASTS_S}s"),
)
FAULTS = {
    "local": OF_PROCESSES,
    "compose": (
        *OF_PROCESSES,
        *(f"network-cut:{LASTS_S}s", f"broker-disk-full:{LASTS_S}s:aof-always"),
    ),
}
WATCHDOG = "lab.providers.watchdog"
CAMPAIGN = "--experiment faults --preset quick -b celery --cores 1 --blocks 1 --tables-only"
NEXT = "bench --provider local -b inline -w noop --tasks 5 --cores 1 --blocks 1 --tables-only"
ENDINGS = {"next lab": NEXT.split(), "clean": ["clean"]}
# The start of a trial takes some seconds, and its first hit is within six of its window.
HITS_S = 120.0
ENDED = ("exited", "dead")


class Kill(NamedTuple):
    """One kill: the provider, the fault, and the command that must remove what remains."""

    provider: str
    fault: str
    ending: str

    @property
    def kind(self) -> str:
        """The kind of the fault."""
        return self.fault.partition(":")[0]


def planned(n: int, providers: list[str], seed: int) -> list[Kill]:
    """Return `n` kills in random order; each combination comes once before any comes again."""
    every = [
        Kill(provider, fault, ending)
        for provider in providers
        for fault in FAULTS[provider]
        for ending in ENDINGS
    ]
    random.Random(seed).shuffle(every)
    return list(itertools.islice(itertools.cycle(every), n))


def lab(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a lab whose temporary files are in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-m", "lab.cli", *arguments],
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.DEVNULL,
        stderr=(folder / "stderr.txt").open("ab"),
        start_new_session=True,
    )


def objects() -> set[str]:
    """Return the containers, networks and volumes of the engine, without those of running labs."""
    with engine() as client:
        listed = {
            *(each["Id"] for each in client.api.containers(all=True)),
            *(each["Id"] for each in client.api.networks()),
            *(each["Name"] for each in client.api.volumes()["Volumes"] or ()),
        }
    # Listed later: an object of another lab that is new meanwhile is in neither list.
    return listed - {each.name for each in reaper.remains() if processes.is_alive(each.owner)}


def is_local_hit(kind: str, lab: int, seen: set[str]) -> bool:
    """Return whether a process is stopped, or all of the hit role have ended.

    `seen` collects the roles that have had a process.
    """
    tree = processes.tree(lab)[1:]
    if kind.endswith("pause"):
        return any(status_of(process) == psutil.STATUS_STOPPED for process in tree)
    roles = {role_of(process) for process in tree if status_of(process) != psutil.STATUS_ZOMBIE}
    role = "server" if kind.startswith("broker") else "worker"
    is_hit = role in seen and role not in roles and "driver" in roles
    seen |= roles
    return is_hit


def status_of(process: psutil.Process) -> str:
    """Return the state of a process, also if it has ended."""
    try:
        return process.status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_ZOMBIE


def objects_of(lab: int) -> set[str]:
    """Return the engine's objects of a lab."""
    return {item.name for item in reaper.remains() if f":{lab}:" in item.owner}


def is_container_hit(kind: str, lab: int) -> bool:
    """Return whether the container of the hit role shows the fault."""
    service = "redis" if kind.startswith("broker") else "node0"
    of_lab = objects_of(lab)
    with engine() as client:
        filters = {"label": f"{SERVICE}={service}"}
        listed = client.api.containers(all=True, filters=filters)
    for container in (each for each in listed if each["Id"] in of_lab):
        if kind.endswith("pause"):
            return bool(container["State"] == "paused")
        if kind.endswith("kill"):
            return container["State"] in ENDED
        if container["State"] == "running":
            return shows(kind, container["Id"])
    return False


def shows(kind: str, container: str) -> bool:
    """Return whether a running container has no route, or a disk that the lab has filled."""
    if kind == "network-cut":
        # Its loopback has no route, and its other interface loses its own with the link.
        return not container_process.run(container, "tail", "-n+2", "/proc/net/route").strip()
    return FILLING.encode() in container_process.run(container, "ls", "/data")


def await_hit(kill: Kill, running: subprocess.Popen[bytes]) -> bool:
    """Wait until the fault of a lab has hit; return whether it has, before the lab ended."""
    deadline, seen = time.monotonic() + HITS_S, set[str]()
    while running.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(ClusterError):  # a container has ended since it was listed
            if (
                is_local_hit(kill.kind, running.pid, seen)
                if kill.provider == "local"
                else is_container_hit(kill.kind, running.pid)
            ):
                return True
        time.sleep(0.01)
    return False


def left_of(kill: Kill, before: set[str]) -> list[object]:
    """Return the processes and objects of a killed lab that exist now."""
    return [*survivors(), *(objects() - before if kill.provider == "compose" else ())]


def run(kill: Kill, draw: random.Random, counts: Counter[str]) -> None:
    """Kill one lab, let a command remove what remains, and count errors."""

    def error(what: str, example: object) -> None:
        counts[what] += 1
        sys.stderr.write(f"{' '.join(kill)}: {what}: {example}\n")

    # The engine may have objects that are not the lab's.
    before = objects() if kill.provider == "compose" else set[str]()
    with tempfile.TemporaryDirectory(prefix="fault-kills-") as name:
        folder = Path(name)
        (folder / "tmp").mkdir()
        options = ["--provider", kill.provider, "--fault", kill.fault, "--results", f"{name}/runs"]
        running = lab(folder, "bench", *CAMPAIGN.split(), *options)
        is_hit = await_hit(kill, running)
        after_s = draw.uniform(0.0, 0.9 * LASTS_S)
        time.sleep(after_s)
        for process in processes.tree(running.pid)[1:]:
            if WATCHDOG in process.cmdline():
                process.kill()
        # Before the kill, because another lab that starts now removes them as well.
        is_left = bool(
            processes.tree(running.pid)[1:] if kill.provider == "local" else objects_of(running.pid)
        )
        running.kill()
        running.wait()
        counts["kills"] += 1
        counts[f"kills: {' '.join(kill)}"] += 1
        sys.stderr.write(f"{' '.join(kill)}: killed {after_s:.1f} s after the hit\n")
        if not is_hit:
            error("labs that ended before their hit", (folder / "stderr.txt").read_text()[-500:])
        elif not is_left:
            error("kills with nothing to remove", after_s)
        results = ["--results", f"{name}/next"] if kill.ending != "clean" else []
        if code := lab(folder, *ENDINGS[kill.ending], *results).wait(HITS_S):
            error("wrong exit codes", (code, (folder / "stderr.txt").read_text()[-500:]))
        deadline = time.monotonic() + GONE_S[kill.provider]
        while (left := left_of(kill, before)) and time.monotonic() < deadline:
            time.sleep(0.1)
        for each in left:
            error("remaining", each)
        for path in (folder / "tmp").iterdir():
            error("temporary folders", path.name)


def main() -> None:
    """Run the kills; print the counts as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--provider", choices=FAULTS, action="append")
    parser.add_argument("--seed", type=int, default=16)
    options = parser.parse_args()
    adopt_orphans()
    begin, draw, counts = time.monotonic(), random.Random(options.seed), Counter[str]()
    for kill in planned(options.kills, options.provider or [*FAULTS], options.seed):
        run(kill, draw, counts)
    summary = {**dict(sorted(counts.items())), "seconds": round(time.monotonic() - begin)}
    sys.stdout.write(json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    main()
