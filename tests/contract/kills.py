"""Kills campaigns at random instants and counts errors: ``python -m tests.contract.kills N``.

A chain is a campaign with up to four kills, each followed by `lab bench --resume`, and a last
resume without a kill. A kill is a signal to the lab, or SIGKILL to its driver, server or worker.
All counts except `kills` and `chains` must be 0. The observer is the parent of all orphans below
it (PR_SET_CHILD_SUBREAPER), so that it finds surviving processes without the lab's own marks.
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
from lab.providers.engine import engine
from lab.results.store import Store
from tests.factories.servers import REDIS_SERVER

PR_SET_CHILD_SUBREAPER = 36
CELLS = {
    "local": "-b celery[threads] -b rq -b process-pool --tasks 20 --rate 40",
    "compose": "-b rq -b thread-pool --tasks 20 --rate 20",
}
COMMON = "-w noop --arrival paced --cores 1 --blocks 1 --tables-only"
KILLS_PER_CHAIN = 4
# A start takes a second, a trial a few more, so that the kills cover all parts of a campaign.
LATEST_S = {"local": 8.0, "compose": 12.0}
# The time after the death of a lab within which all of its processes must end.
GONE_S = {"local": 5.0, "compose": 60.0}
# Helpers of the engine's client, which `clean` calls, may end a moment after it.
CLEAN_S = 2.0
# The time within which a lab must end after a signal, or without one.
ENDS_S = 300.0
TARGETS = ("lab", "lab", "lab", "driver", "server", "worker")
SIGNALS = ("KILL", "KILL", "INT", "TERM", "HUP", "STOP and CONT", "STOP and KILL")
GRACEFUL = ("INT", "TERM", "HUP")
HELPERS = ("lab.providers.watchdog", "lab.driver.instrumentation_cost", "redis-benchmark", "git")
TRIALS = "runs/*/trials/*"
# The share of kills that wait for the start of a trial; the others may precede it.
DURING_TRIALS = 0.75
PATIENCE_S = 10.0


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose parent has ended."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def survivors() -> list[psutil.Process]:
    """Return the running processes below this one; reap those that have ended."""
    below = psutil.Process().children(recursive=True)
    for process in below:
        with contextlib.suppress(psutil.NoSuchProcess):  # another parent has waited for it
            if process.status() == psutil.STATUS_ZOMBIE and process.ppid() == os.getpid():
                os.waitpid(process.pid, 0)
    return [process for process in below if processes.is_running(process)]


def role_of(process: psutil.Process) -> str:
    """Return the role of a process in a trial, or an empty text for a helper of the lab."""
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:  # it has ended
        return ""
    if not words or any(helper in words for helper in HELPERS):
        return ""
    return "driver" if "lab.driver" in words else "server" if REDIS_SERVER in words else "worker"


class Observer:
    """Runs chains in `folder`, and counts kills and errors."""

    def __init__(self, folder: Path, provider: str, seed: int, fault: str = "") -> None:
        self._folder, self._provider = folder, provider
        self._faults = ["--fault", fault] if fault else []
        self._random = random.Random(seed)
        self._temporary = folder / "tmp"
        self._temporary.mkdir()
        self._environment = {**os.environ, "TMPDIR": str(self._temporary)}
        self.counts: Counter[str] = Counter()

    def chain(self, number: int, n_kills: int) -> None:
        """Kill one campaign repeatedly, resume it to its end, and check its results."""
        results = self._folder / str(number)
        self.counts["chains"] += 1
        for _ in range(n_kills):
            n_trials = len(list(results.glob(TRIALS)))
            self._kill(self._start(results), results, n_trials)
        self._end(self._start(results))
        (run,) = results.glob("runs/*")
        self._check(run)
        for path in self._temporary.iterdir():
            self._count("temporary folders", path.name)

    def _count(self, error: str, example: object) -> None:
        self.counts[error] += 1
        sys.stderr.write(f"{error}: {example}\n")

    def _start(self, results: Path) -> subprocess.Popen[bytes]:
        runs = [path.parent for path in results.glob("runs/*/campaign.csv")]
        arguments = ["--resume", str(runs[0]), "--tables-only"] if runs else [
            *COMMON.split(), *CELLS[self._provider].split(), "--provider", self._provider,
            *self._faults, "--results", str(results), "--seed", "1",
        ]  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "lab.cli", "bench", *arguments],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "stderr.txt").open("ab"),
            start_new_session=True,
        )

    def _kill(self, lab: subprocess.Popen[bytes], results: Path, n_trials: int) -> None:
        """Kill one process at a random instant; count it by its role."""
        if self._random.random() < DURING_TRIALS:
            while lab.poll() is None and len(list(results.glob(TRIALS))) <= n_trials:
                time.sleep(0.05)
        time.sleep(self._random.uniform(0.0, LATEST_S[self._provider]))
        target, kind = self._random.choice(TARGETS), self._random.choice(SIGNALS)
        if target != "lab" and self._kill_role(target, lab):
            self.counts["kills"] += 1
            self.counts[f"kills: {target}"] += 1
            time.sleep(self._random.uniform(0.0, 1.0))
            target, kind = "lab", "INT"
        if lab.poll() is not None:
            self._end(lab)
            return
        self.counts["kills"] += 1
        self.counts[f"kills: lab {kind}"] += 1
        for word in kind.split(" and "):
            if word != kind:
                time.sleep(0.5)
            lab.send_signal(signal.Signals[f"SIG{word}"])
        if kind == "STOP and CONT":
            self._end(lab)
            return
        code = lab.wait(ENDS_S)
        # During its start and its end, a lab has no signal handler.
        if kind in GRACEFUL and code not in {130, 0, 1, -signal.Signals[f"SIG{kind}"]}:
            self._count("wrong exit codes", (kind, code))
        self._look_for_survivors(lab.pid)

    def _kill_role(self, target: str, lab: subprocess.Popen[bytes]) -> bool:
        """Kill one process of a role, if the campaign has one within `PATIENCE_S`."""
        kill = self._kill_container if self._provider == "compose" else self._kill_process
        deadline = time.monotonic() + PATIENCE_S
        while lab.poll() is None and time.monotonic() < deadline:
            if kill(target, lab.pid):
                return True
            time.sleep(0.01)
        return False

    def _kill_process(self, target: str, lab: int) -> bool:
        candidates = [p for p in processes.tree(lab)[1:] if role_of(p) == target]
        if candidates:
            self._random.choice(candidates).kill()
        return bool(candidates)

    def _kill_container(self, target: str, lab: int) -> bool:
        service = {"driver": "driver", "server": "redis", "worker": "node0"}[target]
        filters = {"label": f"com.docker.compose.service={service}"}
        ours = {item.name for item in self._objects(lab)}
        with contextlib.suppress(ClusterError), engine() as client:  # it has just ended
            for listed in client.api.containers(filters=filters):
                if listed["Id"] in ours:
                    client.api.kill(listed["Id"])
                    return True
        return False

    @staticmethod
    def _objects(lab: int) -> list[reaper.Remains]:
        return [item for item in reaper.remains() if f":{lab}:" in item.owner]

    def _look_for_survivors(self, lab: int) -> None:
        """Count the processes that remain after the death of a lab, before and after `clean`."""
        for survivor in self._remaining(lab, GONE_S[self._provider]):
            self._count("survivors before clean", survivor)
        clean = [sys.executable, "-m", "lab.cli", "clean"]
        subprocess.run(clean, env=self._environment, capture_output=True, check=True)
        for survivor in self._remaining(lab, CLEAN_S):
            self._count("survivors after clean", survivor)

    def _remaining(self, lab: int, patience_s: float) -> list[object]:
        deadline = time.monotonic() + patience_s
        while (remaining := self._remaining_now(lab)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return remaining

    def _remaining_now(self, lab: int) -> list[object]:
        def counts(process: psutil.Process) -> bool:
            with contextlib.suppress(psutil.NoSuchProcess):  # a watchdog ends if none appears
                words = process.cmdline()
                return processes.is_running(process) and "lab.providers.watchdog" not in words
            return False

        alive: list[object] = [process for process in survivors() if counts(process)]
        return alive + (list(self._objects(lab)) if self._provider == "compose" else [])

    def _end(self, lab: subprocess.Popen[bytes]) -> None:
        """Wait for the end of a campaign without further kills; killed trials may have failed."""
        try:
            code: int | str = lab.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            lab.kill()
            lab.wait()
            code = "hangs"
        if code not in {0, 1}:
            self._count("wrong exit codes", code)
        self._look_for_survivors(lab.pid)

    def _check(self, run: Path) -> None:
        """Compare a run's rows with its plan, read every table, and build the report."""
        for table in self._unreadable(run):
            self._count("unreadable", table)
        rows = Store(run).read("trial")
        ended = rows[~rows.status.isin([Status.INTERRUPTED, Status.SKIPPED])]
        planned = [spec.id for spec in run_folder.read_plan(run, "", "").plan.trials]
        for trial_id in set(planned) - set(ended.trial_id):
            self._count("missing", trial_id)
        for trial_id in set(ended.trial_id) - set(planned):
            self._count("extra", trial_id)
        # Only a disturbed trial is rerun.
        last = ended.groupby("trial_id").attempt.transform("max")
        for row in ended[(ended.attempt < last) & (ended.flag != Flag.DISTURBED)].itertuples():
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
    """Run chains until the number of kills is reached; print the counts as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--provider", choices=CELLS, default="local")
    parser.add_argument("--fault", default="", help="inject this fault in each window")
    parser.add_argument("--seed", type=int, default=14)
    options = parser.parse_args()
    adopt_orphans()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        observer = Observer(Path(folder), options.provider, options.seed, options.fault)
        while (remaining := options.kills - observer.counts["kills"]) > 0:
            observer.chain(observer.counts["chains"], min(remaining, KILLS_PER_CHAIN))
    counts = {**dict(sorted(observer.counts.items())), "seconds": round(time.monotonic() - begin)}
    sys.stdout.write(json.dumps(counts, indent=2) + "\n")


if __name__ == "__main__":
    main()
