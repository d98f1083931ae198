"""Tests reading the resource use of a container from both versions of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.providers import cgroups
from lab.providers.cgroups import Meter, Use, from_host, host_files, parse

ID = "c0ffee" * 10
NET = """Inter-|   Receive  |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs
    lo:  999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0
  eth0: 1500 9 0 0 0 0 0 0 2500 9 0 0 0 0 0 0
"""
V1 = {
    "proc/7/cgroup": f"4:memory:/docker/{ID}\n3:cpu,cpuacct:/docker/{ID}\n0::/docker/{ID}\n",
    "proc/7/net/dev": NET,
    f"sys/fs/cgroup/cpuacct/docker/{ID}/cpuacct.usage": "2500000000\n",
    f"sys/fs/cgroup/cpu/docker/{ID}/cpu.stat": "nr_periods 40\nnr_throttled 4\nthrottled_time 7\n",
    f"sys/fs/cgroup/memory/docker/{ID}/memory.usage_in_bytes": "5000\n",
    f"sys/fs/cgroup/memory/docker/{ID}/memory.stat": (
        "cache 3000\nrss 1\ninactive_file 2\ntotal_rss 1500\ntotal_inactive_file 1000\n"
    ),
}
V2_GROUP = f"system.slice/docker-{ID}.scope"
V2 = {
    "proc/7/cgroup": f"0::/{V2_GROUP}\n",
    "proc/7/net/dev": NET,
    f"sys/fs/cgroup/{V2_GROUP}/cpu.stat": (
        "usage_usec 2500000\nnr_periods 40\nnr_throttled 4\nthrottled_usec 7\n"
    ),
    f"sys/fs/cgroup/{V2_GROUP}/memory.current": "5000\n",
    f"sys/fs/cgroup/{V2_GROUP}/memory.stat": "anon 1500\nfile 3000\ninactive_file 1000\n",
}


def machine(root: Path, files: dict[str, str]) -> Path:
    """Write the files of a control group below `root`, as the kernel lays them out."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(("files", "throttled_ns"), [(V1, 7), (V2, 7_000)], ids=["v1", "v2"])
def test_both_cgroup_versions_give_the_same_use(
    files: dict[str, str], throttled_ns: int, tmp_path: Path
) -> None:
    """CPU in ns, memory with and without inactive file pages, throttling, and network bytes."""
    paths = host_files(7, ID, machine(tmp_path, files))
    assert paths is not None
    assert parse(from_host(paths)) == Use(
        cpu_ns=2_500_000_000,
        quota_periods=40,
        throttled_periods=4,
        throttled_ns=throttled_ns,
        memory_bytes=5_000,
        working_set_bytes=4_000,
        anonymous_bytes=1_500,
        received_bytes=1_500,
        sent_bytes=2_500,
    )


def test_host_files_ignores_a_local_process_with_the_pid_of_a_remote_one(tmp_path: Path) -> None:
    """If the engine is on another machine, its pid may be that of an unrelated local process."""
    files = {"proc/7/cgroup": "3:cpu:/user.slice\n0::/user.slice\n", "proc/7/net/dev": NET}
    assert host_files(7, ID, machine(tmp_path, files)) is None
    assert host_files(8, ID, tmp_path) is None


def test_values_of_missing_files_are_none_and_not_zero() -> None:
    """Without files no value is known, and there are no counters."""
    assert set(parse({})) == {None}
    assert list(parse({}).counters()) == []


def test_throttling_counters_exist_only_under_a_quota() -> None:
    """Without a quota there are no periods, and the throttling counters are left out."""
    free = parse({"cpu": "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n", "cpu_v1": "5\n"})
    assert [name for name, _, _ in free.counters()] == ["cpu_s"]
    bound = parse({"cpu": "nr_periods 9\nnr_throttled 3\nthrottled_time 2000000000\n"})
    assert list(bound.counters()) == [
        ("quota_periods", 9.0, "periods"),
        ("throttled_periods", 3.0, "periods"),
        ("throttled_s", 2.0, "s"),
    ]


def test_meter_returns_the_last_use_of_an_ended_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of an ended container are gone, but its last known use remains."""
    paths = host_files(7, ID, machine(tmp_path, V1))
    assert paths is not None
    monkeypatch.setattr(cgroups, "host_files", lambda *_: paths)
    meter = Meter(ID, 7)
    before = meter.read()
    for path in paths.values():
        path.unlink()
    assert meter.read() == before
    assert before.cpu_ns == 2_500_000_000


def test_meter_adds_the_use_of_a_restarted_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel counts from 0 again; memory is that of the present run."""
    paths = host_files(7, ID, machine(tmp_path, V1))
    monkeypatch.setattr(cgroups, "host_files", lambda *_: paths)
    meter = Meter(ID, 7)
    before = meter.read()
    meter.restart(8)
    after = meter.read()
    assert after.cpu_ns == 2 * (before.cpu_ns or 0)
    assert after.received_bytes == 2 * (before.received_bytes or 0)
    assert after.memory_bytes == before.memory_bytes
