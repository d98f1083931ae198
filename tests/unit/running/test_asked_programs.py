"""Programs that the lab asks beside its trials: whatever they do, it is a number or a reason."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.cli import doctor
from lab.core.errors import LabError
from lab.driver import instrumentation_cost
from lab.host import child_environment
from lab.providers import servers
from lab.running import host_baselines
from tests.factories.trials import run, spec_of


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys; sys.exit('no such thing')", "ended with code 1: no such thing"),
        ("import os; os._exit(7)", "ended with code 7: it printed nothing"),
        ("print('garbage')", "printed 'garbage', not a cost"),
        ("print('nan')", "printed 'nan', not a cost"),
        ("print(-1)", "printed '-1', not a cost"),
        ("", "printed '', not a cost"),
        ("import sys; sys.stdout.buffer.write(bytes([255]))", "not a cost"),
        ("import time; time.sleep(60)", "did not end in"),
    ],
)
def test_a_helper_that_fails_or_prints_garbage_is_a_sentence(
    program: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the helper process of the instrumentation cost did is in the message."""
    script = tmp_path / "helper"
    script.write_text(f"#!{sys.executable}\n{program}\n")
    script.chmod(0o755)
    child_environment.of_process()  # which asks the interpreter itself, once
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(instrumentation_cost, "DEADLINE_S", 3.0)
    with pytest.raises(LabError) as refused:
        instrumentation_cost.cost_ns()
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("", "redis-benchmark printed no rate, but: ''"),
        ("LPUSH\n", "redis-benchmark printed no rate, but: 'LPUSH'"),
        ('"LPUSH","fast"\n', "redis-benchmark printed no rate"),
    ],
)
def test_a_tool_that_prints_no_rate_is_refused(printed: str, reason: str) -> None:
    """What cannot be read is no number."""
    with pytest.raises(LabError, match=reason):
        host_baselines.rate_of(printed)


def test_a_tool_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redis-benchmark with an exit code, and a server that does not start: rows with reasons."""
    tool = tmp_path / host_baselines.TOOL
    tool.write_text("#!/bin/sh\necho cannot connect >&2\nexit 3\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    rows = list(host_baselines.measure([spec_of("raw-redis")], "c", 0))
    asked = {row.method for row in rows if row.baseline.startswith(host_baselines.TOOL)}
    assert asked == {"redis-benchmark ended with code 3: cannot connect"}
    monkeypatch.setattr(host_baselines._RedisWithSocket, "options", ("--no-such-option", "1"))
    rows = list(host_baselines.measure([spec_of("raw-redis")], "c", 0))
    assert {row.value for row in rows if "redis" in row.baseline} == {None}
    assert all("redis-server did not start" in r.method for r in rows if "redis" in r.baseline)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("echo broken library >&2; exit 1", "redis-server --version ended with code 1: broken lib"),
        ("exit 3", "redis-server --version ended with code 3: it printed nothing"),
        ("kill -9 $$", "redis-server --version was killed by SIGKILL: it printed nothing"),
        ("exec sleep 60", "redis-server --version did not end in 1 s"),
    ],
)
def test_a_redis_that_does_not_say_its_version_is_a_row(
    program: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same sentence is the reason of a trial and the finding of the doctor."""
    tool = tmp_path / "redis-server"
    tool.write_text(f"#!/bin/sh\n{program}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(servers, "VERSION_S", 1.0)
    row = run(tmp_path, spec_of("raw-redis")).row
    assert row.status == "failed"
    assert reason in row.reason
    check = doctor._redis()
    assert check.state == doctor.State.MISSING
    assert reason in check.finding


def test_a_redis_that_cannot_be_started_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is executable, and no program."""
    tool = tmp_path / "redis-server"
    tool.write_bytes(b"\0\1\2")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    row = run(tmp_path, spec_of("raw-redis")).row
    reason = "redis-server cannot be started: Exec format error. Install Redis again."
    assert (row.status, row.reason) == ("failed", reason)


def test_a_redis_that_prints_no_version_has_an_unknown_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its output is bytes of any encoding; a server that answers can still be measured."""
    tool = tmp_path / "redis-server"
    tool.write_text("#!/bin/sh\nprintf '\\377 garbage'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert servers.redis_server() == servers.Program(str(tool), "machine", "unknown")
