"""Kills campaigns at random instants, counts the damage: ``python -m tests.contract.kills N``.

A chain is a campaign, up to four strikes, each followed by `lab bench --resume`, and a last resume
that runs undisturbed. A strike is a signal to the lab, or SIGKILL to its driver, server or worker.
All counts but `strikes` and `chains` must be 0. The observer adopts every orphan below it
(PR_SET_CHILD_SUBREAPER), so survivors are found by descent and not by what the lab knows of them.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil

from lab.campaign import run_folder
from lab.core.errors import ClusterError, LabError
from lab.core.model import Flag, Status
from lab.host import processes
from lab.providers import reaper
from lab.providers.engine import docker
from lab.results.store import Store

PR_SET_CHILD_SUBREAPER = 36
CELLS = {
    "local": "-b celery[threads] -b rq -b process-pool --tasks 20 --rate 40",
    "compose": "-b rq -b thread-pool --tasks 20 --rate 20",
}
COMMON = "-w noop --arrival paced --cores 1 --blocks 1 --tables-only"
STRIKES_A_CHAIN = 4
# A start takes a second, a trial some more: strikes fall into all of a campaign.
LATEST_S = {"local": 8.0, "compose": 12.0}
# How soon after its lab's death everything must be gone by itself, and how long a lab may take.
GONE_S = {"local": 5.0, "compose": 60.0}
# What the engine's client that `clean` calls starts itself may end a moment later.
CLEAN_S = 2.0
ENDS_S = 300.0
TARGETS = ("lab", "lab", "lab", "driver", "server", "worker")
SIGNALS = ("KILL", "KILL", "INT", "TERM", "HUP", "STOP and CONT", "STOP and KILL")
GRACEFUL = ("INT", "TERM", "HUP")
SERVER = "redis-server"
HELPERS = ("lab.providers.watchdog", "lab.driver.instrumentation_cost", "redis-benchmark", "git")
TRIALS = "runs/*/trials/*"
# The share of strikes that wait until a trial has begun; the others fall into the start as well.
DURING_TRIALS = 0.75
PATIENCE_S = 10.0


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own has ended."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def survivors() -> list[psutil.Process]:
    """Every process below this one that runs; those that have ended are reaped."""
    below = psutil.Process().children(recursive=True)
    for process in below:
        if process.status() == psutil.STATUS_ZOMBIE and process.ppid() == os.getpid():
            os.waitpid(process.pid, 0)
    return [process for process in below if processes.runs(process)]


def _role_of(process: psutil.Process) -> str:
    """Name what a process is in a trial; empty for a helper of the lab."""
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:  # it has ended
        return ""
    if not words or any(helper in words for helper in HELPERS):
        return ""
    return "driver" if "lab.driver" in words else "server" if SERVER in words else "worker"


class Observer:
    """Runs chains in `folder` and counts."""

    def __init__(self, folder: Path, provider: str, seed: int) -> None:
        self._folder, self._provider = folder, provider
        self._random = random.Random(seed)
        self._temporary = folder / "tmp"
        self._temporary.mkdir()
        self._environment = {**os.environ, "TMPDIR": str(self._temporary)}
        self.counts: Counter[str] = Counter()

    def chain(self, number: int, n_strikes: int) -> None:
        """Strike one campaign, resume it to its end, and look at everything it left."""
        results = self._folder / str(number)
        self.counts["chains"] += 1
        for _ in range(n_strikes):
            n_trials = len(list(results.glob(TRIALS)))
            self._strike(self._start(results), results, n_trials)
        self._end(self._start(results))
        (run,) = results.glob("runs/*")
        self._judge(run)
        for path in self._temporary.iterdir():
            self._count("temporary folders", path.name)

    def _count(self, what: str, example: object) -> None:
        self.counts[what] += 1
        sys.stderr.write(f"{what}: {example}\n")

    def _start(self, results: Path) -> subprocess.Popen[bytes]:
        made = [path.parent for path in results.glob("runs/*/campaign.csv")]
        words = ["--resume", str(made[0]), "--tables-only"] if made else [
            *COMMON.split(), *CELLS[self._provider].split(), "--provider", self._provider,
            "--results", str(results), "--seed", "1",
        ]  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "lab.cli", "bench", *words],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "stderr.txt").open("ab"),
            start_new_session=True,
        )

    def _strike(self, lab: subprocess.Popen[bytes], results: Path, n_trials: int) -> None:
        """Strike once, at an instant that was drawn; what was hit is counted by name."""
        if self._random.random() < DURING_TRIALS:
            while lab.poll() is None and len(list(results.glob(TRIALS))) <= n_trials:
                time.sleep(0.05)
        time.sleep(self._random.uniform(0.0, LATEST_S[self._provider]))
        target, kind = self._random.choice(TARGETS), self._random.choice(SIGNALS)
        if target != "lab" and self._hit(target, lab):
            self.counts["strikes"] += 1
            self.counts[f"strikes: {target}"] += 1
            time.sleep(self._random.uniform(0.0, 1.0))
            target, kind = "lab", "INT"
        if lab.poll() is not None:
            self._end(lab)
            return
        self.counts["strikes"] += 1
        self.counts[f"strikes: lab {kind}"] += 1
        for word in kind.split(" and "):
            if word != kind:
                time.sleep(0.5)
            lab.send_signal(signal.Signals[f"SIG{word}"])
        if kind == "STOP and CONT":
            self._end(lab)
            return
        code = lab.wait(ENDS_S)
        # One that has just been started has no handler yet, one that is ending none any more.
        if kind in GRACEFUL and code not in {130, 0, 1, -signal.Signals[f"SIG{kind}"]}:
            self._count("wrong exit codes", (kind, code))
        self._look_for_survivors(lab.pid)

    def _hit(self, target: str, lab: subprocess.Popen[bytes]) -> bool:
        """Kill one process of a role, if the campaign has one now."""
        hit = self._hit_container if self._provider == "compose" else self._hit_process
        deadline = time.monotonic() + PATIENCE_S
        while lab.poll() is None and time.monotonic() < deadline:
            if hit(target, lab.pid):
                return True
            time.sleep(0.01)
        return False

    def _hit_process(self, target: str, lab: int) -> bool:
        found = [p for p in processes.tree(lab)[1:] if _role_of(p) == target]
        if found:
            self._random.choice(found).kill()
        return bool(found)

    def _hit_container(self, target: str, lab: int) -> bool:
        service = {"driver": "driver", "server": "redis", "worker": "node0"}[target]
        wanted = ["ps", "-q", "--filter", f"label=com.docker.compose.service={service}"]
        ours = {thing.name for thing in self._objects(lab)}
        found = [name for name in docker(*wanted).decode().split() if name in ours]
        for name in found:
            with contextlib.suppress(ClusterError):  # it ended a moment ago
                docker("kill", name)
                return True
        return False

    @staticmethod
    def _objects(lab: int) -> list[reaper.Remains]:
        return [thing for thing in reaper.remains() if f":{lab}:" in thing.owner]

    def _look_for_survivors(self, lab: int) -> None:
        """Wait until nothing of a dead lab runs; what does is counted before and after `clean`."""
        for thing in self._left(lab, GONE_S[self._provider]):
            self._count("survivors before clean", thing)
        clean = [sys.executable, "-m", "lab.cli", "clean"]
        subprocess.run(clean, env=self._environment, capture_output=True, check=True)
        for thing in self._left(lab, CLEAN_S):
            self._count("survivors after clean", thing)

    def _left(self, lab: int, patience_s: float) -> list[object]:
        deadline = time.monotonic() + patience_s
        while (left := self._left_now(lab)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def _left_now(self, lab: int) -> list[object]:
        def is_watchdog(process: psutil.Process) -> bool:
            return "lab.providers.watchdog" in process.cmdline()  # it ends once nothing new appears

        alive: list[object] = [p for p in survivors() if processes.runs(p) and not is_watchdog(p)]
        return alive + (list(self._objects(lab)) if self._provider == "compose" else [])

    def _end(self, lab: subprocess.Popen[bytes]) -> None:
        """Wait for a campaign that nobody disturbs any more; a struck trial may have failed."""
        try:
            code: int | str = lab.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            lab.kill()
            lab.wait()
            code = "hangs"
        if code not in {0, 1}:
            self._count("wrong exit codes", code)
        self._look_for_survivors(lab.pid)

    def _judge(self, run: Path) -> None:
        """Compare a run's rows with its plan, read every table, and have the report made."""
        for table in self._unreadable(run):
            self._count("unreadable", table)
        store, made = Store(run), run_folder.read_plan(run, "", "")
        rows = store.read("trial")
        ended = rows[rows.status != Status.INTERRUPTED]
        planned = [spec.id for spec in made.plan.trials]
        for trial_id in set(planned) - set(ended.trial_id):
            self._count("missing", trial_id)
        for trial_id in set(ended.trial_id) - set(planned):
            self._count("extra", trial_id)
        # Only a trial that was disturbed is tried again.
        last = ended.groupby("trial_id").attempt.transform("max")
        for row in ended[(ended.attempt < last) & (ended.flag != Flag.INVALID)].itertuples():
            self._count("doubled", row.trial_id)
        if rows.duplicated(["trial_id", "attempt"]).any():
            self._count("doubled", run)
        report = [sys.executable, "-m", "lab.cli", "report", str(run)]
        done = subprocess.run(report, env=self._environment, capture_output=True, check=False)
        if done.returncode:
            self._count("reports that failed", done.stderr.decode()[-500:])

    @staticmethod
    def _unreadable(run: Path) -> Iterator[str]:
        store = Store(run)
        for file in [*run.glob("*.csv"), *run.glob("trials/*/*.parquet")]:
            try:
                store.read(file.stem, None if file.suffix == ".csv" else file.parent)
            except LabError as error:
                yield f"{file}: {error}"


def main() -> None:
    """Strike as often as was said; print the counts as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strikes", type=int)
    parser.add_argument("--provider", choices=CELLS, default="local")
    parser.add_argument("--seed", type=int, default=14)
    options = parser.parse_args()
    adopt_orphans()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        observer = Observer(Path(folder), options.provider, options.seed)
        while (left := options.strikes - observer.counts["strikes"]) > 0:
            observer.chain(observer.counts["chains"], min(left, STRIKES_A_CHAIN))
    counts = {**dict(sorted(observer.counts.items())), "seconds": round(time.monotonic() - begin)}
    sys.stdout.write(json.dumps(counts, indent=2) + "\n")


if __name__ == "__main__":
    main()
