"""Tests that a lab that is killed at a random instant leaves no object in the engine."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.host import processes
from lab.providers import reaper
from lab.results.schema import TrialRow
from lab.results.store import Store
from tests.cluster.containers import left_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("containers")]

KILLS = 16
AT_ONCE = 4
NODES = ["-b", "raw-redis", "--nodes", "2"]
DRIVER_ALONE = ["-b", "inline"]
SMALL = ["-w", "noop", "--arrival", "burst", "--tasks", "20", "--cores", "1", "--blocks", "3"]
# The objects that a lab has in the engine when it is killed, at least: half of the kills are during
# `up`, the others at a random instant after it.
N_OBJECTS, LATER_S = 4, 5.0
GONE_S = 60.0


def bench(results: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start a campaign of several trials."""
    words = ["bench", "--provider", "compose", "--tables-only", *SMALL, *more]
    return subprocess.Popen(
        [sys.executable, "-m", "lab.cli", *words, "--results", str(results)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_at_random(number: int, results: Path) -> tuple[int, int]:
    """Kill one campaign; return its process id and its number of objects just before."""
    draw = random.Random(number)
    lab = bench(results, *(NODES if number % 2 else DRIVER_ALONE))
    while not list(results.glob("runs/*/trials/*")):
        assert lab.poll() is None, "the campaign ended before it began"
        time.sleep(0.05)
    n_awaited, is_later = number // 2 % N_OBJECTS, number >= KILLS // 2
    while (n_objects := len(left_of(lab.pid))) < n_awaited:
        assert lab.poll() is None, "the campaign ended before it had its objects"
        time.sleep(0.05)
    time.sleep(draw.uniform(0.0, LATER_S) if is_later else 0.0)
    lab.kill()
    lab.wait()
    return lab.pid, n_objects


def await_removal(pids: set[int]) -> None:
    """Wait until the engine has no objects of these processes.

    Their watchdogs remove them, without another start of the lab. The engine may still be creating
    objects, so the list must be empty three times.
    """
    deadline, n_empty = time.monotonic() + GONE_S, 0
    while n_empty < 3:
        left = [thing for thing in reaper.remains() if int(thing.owner.split(":")[1]) in pids]
        n_empty = 0 if left else n_empty + 1
        assert time.monotonic() < deadline, left
        time.sleep(1.0)


def runs(results: Path) -> Iterator[Store]:
    """Yield every run folder below `results`."""
    yield from (Store(path.parent) for path in results.rglob("campaign.csv"))


@pytest.mark.alone  # five campaigns at once are enough for two cores
def test_killed_labs_leave_no_objects_and_do_not_affect_another_campaign(tmp_path: Path) -> None:
    """After all kills no object remains, finished trials are complete, and another lab is ok."""
    parallel = bench(tmp_path / "beside", *NODES, "--seed", "1")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        kills = pool.map(kill_at_random, range(KILLS), folders(tmp_path))
        killed, n_objects = zip(*kills, strict=True)
    await_removal(set(killed))
    assert parallel.wait(300) == 0
    assert min(n_objects) < max(n_objects)
    assert left_of(parallel.pid) == []
    finished = 0
    for store in runs(tmp_path):
        store.check()
        for row in (TrialRow(*values) for values in store.read("trial").itertuples(index=False)):
            tasks = store.read("task", store.trial_folder(row.trial_id, row.attempt))
            assert len(tasks) >= row.n_done == 20
            finished += 1
    assert finished >= 3


def folders(below: Path) -> Iterator[Path]:
    """Yield a results folder for each kill."""
    yield from (below / str(number) for number in range(KILLS))


@pytest.mark.alone(beside="calm")  # each starting lab removes such objects as well
def test_clean_removes_the_objects_of_a_lab_whose_watchdog_was_killed(tmp_path: Path) -> None:
    """`lab clean` removes the objects of the killed lab, and none of a running one."""
    parallel = bench(tmp_path / "beside", *NODES, "--seed", "1")
    lab = bench(tmp_path / "killed", *NODES)
    while len(left_of(lab.pid)) < 4 or len(left_of(parallel.pid)) < 4:
        assert (lab.poll(), parallel.poll()) == (None, None)
        time.sleep(0.2)
    for process in (*processes.tree(lab.pid)[1:], *processes.tree(lab.pid)[:1]):
        process.kill()
    lab.wait()
    clean = [sys.executable, "-m", "lab.cli", "clean"]
    # The watchdog of a lab that another test killed may still run and remove them first.
    subprocess.run(clean, capture_output=True, check=True)
    assert left_of(lab.pid) == []
    assert parallel.wait(300) == 0
    assert left_of(parallel.pid) == []
