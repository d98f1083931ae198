"""Tests that the fingerprint describes the machine and contains nothing private."""

from __future__ import annotations

import gc
import getpass
import os
import platform
import re
import socket
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.host import environment, procfs
from lab.host.environment import fingerprint, git_state
from lab.results.schema.machine import EnvironmentRow

ROOTED_PATH = re.compile(r"(?<![\w.])/\w")
ADDRESS = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){4,}"
)


# Values of facts that may also be the name of a machine or a user.
COMMON_WORDS = {"docker", "linux", "main", "none", "podman"}


def private_words() -> set[str]:
    """Return the names of this machine and its user."""
    words = {socket.gethostname(), getpass.getuser(), str(Path.home()), str(Path.cwd())}
    return words - COMMON_WORDS


def assert_public(rows: Sequence[EnvironmentRow]) -> None:
    """Assert that no key, value or unit contains a name, a path or an address."""
    for row in rows:
        for text in (row.key, row.value, row.unit):
            for word in private_words():
                assert not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text), row
            assert not ROOTED_PATH.search(text), row
            assert row.key.startswith("package.") or not ADDRESS.search(text), row


def as_dict(rows: Sequence[EnvironmentRow]) -> dict[str, str]:
    """Return the values by key."""
    return {row.key: row.value for row in rows}


def test_nothing_private_is_in_the_fingerprint() -> None:
    """No value holds the host's or the user's name, a path, or an address."""
    assert_public(fingerprint()[1])


def test_no_private_text_passes_the_allow_lists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Variables, boot parameters and build arguments are filtered by allow lists."""
    secret = f"{Path.home()}/of/{getpass.getuser()}"
    for name in ("PYTHONPATH", "PYTHONHASHSEED", "PYTHONMALLOC", "PYTHON_SECRET", "PYTHONHOME"):
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("PYTHONUTF8", "1")
    command_line = (
        f"root=UUID=12ab-34cd ip=10.1.2.3 host={socket.gethostname()} nosmt mitigations=off"
    )
    read = procfs.text_of
    monkeypatch.setattr(
        environment, "text_of", lambda p: command_line if p.name == "cmdline" else read(p)
    )
    arguments = (
        f"'--prefix={secret}' '--enable-optimizations' '--with-openssl={secret}' 'CC={secret}'"
    )
    monkeypatch.setitem(sysconfig.get_config_vars(), "CONFIG_ARGS", arguments)
    monkeypatch.setitem(
        sysconfig.get_config_vars(), "PY_CFLAGS", f"-O3 -ffile-prefix-map={secret}=."
    )
    facts = as_dict(rows := fingerprint()[1])
    assert_public(rows)
    assert facts["kernel.parameters"] == "nosmt mitigations=off"
    assert facts["python.configure"].startswith("--enable-optimizations")
    assert facts["python.optimisation"] == "-O3"
    assert facts["python.variable.PYTHONUTF8"] == "1"
    assert facts["python.variable.PYTHONHASHSEED"] == ""
    assert "python.variable.PYTHON_SECRET" not in facts


def test_the_id_depends_on_stable_facts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A threshold of the garbage collector does not change the id, another kernel does."""
    before, rows = fingerprint()
    assert re.fullmatch("[0-9a-f]{16}", before)
    assert {row.fingerprint_id for row in rows} == {before}
    thresholds = gc.get_threshold()
    gc.set_threshold(thresholds[0] + 1)
    try:
        same, changed = fingerprint()
    finally:
        gc.set_threshold(*thresholds)
    assert as_dict(changed)["python.gc_thresholds"] != as_dict(rows)["python.gc_thresholds"]
    assert same == before
    monkeypatch.setattr(platform, "release", lambda: "0.0.1-other")
    assert fingerprint()[0] != before


def test_the_stable_facts_of_the_method_are_stable() -> None:
    """The stable facts that are known on this machine are part of the id (METHOD M33)."""
    keys = [row.key for row in fingerprint()[1]]
    stable = {row.key for row in fingerprint()[1] if row.stable}
    assert len(keys) == len(set(keys))
    assert stable >= {
        *("clock.source", "cpu.model", "cpu.sockets", "cpu.cores", "cpu.threads", "cpu.smt"),
        *("cpu.governor", "cpu.turbo", "cpu.mitigations", "cpu.hypervisor", "memory.numa_nodes"),
        *("memory.ram", "memory.swap", "memory.huge_pages", "kernel.release", "kernel.preempt"),
        *("cgroup.version", "cgroup.cpu_limit", "cgroup.cpuset", "cgroup.memory_limit"),
        *("python.gil", "python.jit", "packages.hash", "package.celery", "package.redis"),
    }


def test_unreadable_facts_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the kernel's files the facts are still listed, and empty rather than zero."""
    with_files = [row.key for row in fingerprint()[1]]
    for module in (environment, procfs):
        monkeypatch.setattr(module, "text_of", lambda _: None)
    monkeypatch.setattr(environment, "CPUS", Path("/nonexistent"))
    monkeypatch.setattr(procfs, "CPUS", Path("/nonexistent"))
    rows = fingerprint()[1]
    facts = as_dict(rows)
    assert [row.key for row in rows] == with_files
    for key in (
        *("cpu.model", "cpu.sockets", "cpu.smt", "cpu.hypervisor", "cpu.governor", "cpu.turbo"),
        *("cpu.mitigations", "cpu.caches", "cpu.frequency", "cpu.isolated", "kernel.parameters"),
        *("clock.source", "cgroup.cpu_limit", "cgroup.memory_limit", "cgroup.cpuset"),
        *("memory.huge_pages", "noise.load", "noise.runnable"),
    ):
        assert facts[key] == "", key


def write(root: Path, files: dict[str, str]) -> Path:
    """Write a small tree of kernel files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_limits_are_read_from_cgroup_version_2(tmp_path: Path) -> None:
    """The lowest limit of the group and of its parents is used."""
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/outer/inner\n",
            "sys/fs/cgroup/cgroup.controllers": "cpu memory",
            "sys/fs/cgroup/outer/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/outer/inner/cpu.max": "max 100000\n",
            "sys/fs/cgroup/outer/memory.max": "max\n",
            "sys/fs/cgroup/outer/inner/memory.max": "1048576\n",
        },
    )
    assert procfs.cpu_limit(root) == 1.5
    assert procfs.memory_limit(root) == 1 << 20
    assert procfs.cgroup_texts("cpu", "cpu.max", root) == ["max 100000", "150000 100000"]


def test_limits_are_read_from_cgroup_version_1(tmp_path: Path) -> None:
    """Each controller has a tree; in a container the group's name may not exist in it."""
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert procfs.cpu_limit(root) == 0.5
    assert procfs.memory_limit(root) == "none"


def test_limits_outside_linux_are_unknown(tmp_path: Path) -> None:
    """Without control groups, the limit is unknown, not absent."""
    assert procfs.cpu_limit(tmp_path) == ""
    assert procfs.memory_limit(tmp_path) == ""


def git(folder: Path, *arguments: str) -> str:
    """Run git as a fictitious user."""
    user = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *user, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_git_state_is_of_the_labs_own_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commit and changes are those of the lab's checkout, never of a repository around it."""
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "environment.py"))
    assert git_state() == ("", "")
    git(tmp_path, "init", "-q")
    (tmp_path / "environment.py").write_text("one")
    (tmp_path / "other").write_text("one")
    git(tmp_path, "add", "other")
    git(tmp_path, "commit", "-qm", "without the lab")
    assert git_state() == ("", "")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "with the lab")
    (tmp_path / "untracked").write_text("does not count")
    monkeypatch.setenv("GIT_DIR", os.devnull)  # as inside a hook of another repository
    clean = git_state()
    (tmp_path / "other").write_text("two")
    dirty = git_state()
    monkeypatch.delenv("GIT_DIR")
    assert clean == (git(tmp_path, "rev-parse", "HEAD"), "0")
    assert dirty == (clean.commit, "1")


def test_versions_of_systems_of_other_packages_are_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that declares a backend is listed with what it requires; the id is the same."""
    about = tmp_path / "lab_other-1.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: lab_other\nVersion: 1.5\nRequires-Dist: pytest>=1\n"
    )
    (about / "entry_points.txt").write_text("[lab.backends]\nother = lab_other:Other\n")
    before = as_dict(fingerprint()[1])
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = fingerprint()[1]
    facts = as_dict(rows)
    assert facts["package.lab-other"] == "1.5"
    assert facts["package.pytest"] == pytest.__version__
    assert "package.lab-other" not in before
    keys = [row.key for row in rows]
    assert len(keys) == len(set(keys))
    assert not any(row.stable for row in rows if row.key == "package.dask")
