"""Nothing is left behind: the lab is killed at random instants, also while a cluster comes up."""

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

KILLS = 30
AT_ONCE = 4
NODES = ["-b", "raw-redis", "--nodes", "2"]
DRIVER_ALONE = ["-b", "inline"]
SMALL = ["-w", "noop", "--arrival", "burst", "--tasks", "20", "--cores", "1", "--blocks", "3"]
# Up takes a second or two, a whole trial some more: half of the kills fall into the first.
DURING_UP_S, LATER_S = 2.5, 5.0
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
    """Kill one campaign; return its process and how many objects it had when it died."""
    draw = random.Random(number)
    lab = bench(results, *(NODES if number % 2 else DRIVER_ALONE))
    while not list(results.glob("runs/*/trials/*")):
        assert lab.poll() is None, "the campaign ended before it began"
        time.sleep(0.05)
    time.sleep(draw.uniform(0.0, DURING_UP_S if number % 2 else LATER_S))
    seen = len(left_of(lab.pid))
    lab.kill()
    lab.wait()
    return lab.pid, seen


def await_nothing(of: set[int]) -> None:
    """Wait until the engine holds nothing of these processes.

    Their watchdogs do it, without a next start. What is still being created comes later, so one
    empty look is not enough.
    """
    deadline, empty = time.monotonic() + GONE_S, 0
    while empty < 3:
        left = [thing for thing in reaper.remains() if int(thing.owner.split(":")[1]) in of]
        empty = 0 if left else empty + 1
        assert time.monotonic() < deadline, left
        time.sleep(1.0)


def runs(results: Path) -> Iterator[Store]:
    """Yield every run folder below `results`."""
    yield from (Store(path.parent) for path in results.rglob("campaign.csv"))


@pytest.mark.alone  # five campaigns at once are enough for two cores
def test_a_lab_killed_at_any_instant_leaves_nothing_and_harms_nobody(tmp_path: Path) -> None:
    """After 30 kills nothing is there, finished trials are whole, a campaign beside ended well."""
    beside = bench(tmp_path / "beside", *NODES, "--seed", "1")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        killed, seen = zip(*pool.map(kill_at_random, range(KILLS), folders(tmp_path)), strict=True)
    await_nothing(set(killed))
    assert beside.wait(300) == 0
    # Some were met before their first object, some in the middle of `up`, some with all of it.
    assert min(seen) < max(seen)
    assert len(set(seen)) >= 3
    assert left_of(beside.pid) == []
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


@pytest.mark.alone  # others that begin clean up as well
def test_without_its_watchdog_the_next_start_cleans_up(tmp_path: Path) -> None:
    """When lab and watchdog are both killed, `lab clean` removes what is left, and no more."""
    beside = bench(tmp_path / "beside", *NODES, "--seed", "1")
    lab = bench(tmp_path / "killed", *NODES)
    while len(left_of(lab.pid)) < 4 or len(left_of(beside.pid)) < 4:
        assert (lab.poll(), beside.poll()) == (None, None)
        time.sleep(0.2)
    for process in (*processes.tree(lab.pid)[1:], *processes.tree(lab.pid)[:1]):
        process.kill()
    lab.wait()
    clean = [sys.executable, "-m", "lab.cli", "clean"]
    # The watchdog of a lab that another test killed may still be looking, and be faster.
    subprocess.run(clean, capture_output=True, check=True)
    assert left_of(lab.pid) == []
    assert beside.wait(120) == 0
    assert left_of(beside.pid) == []
