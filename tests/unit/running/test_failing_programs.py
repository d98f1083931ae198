"""Tests that a helper program that fails gives a message instead of a number, and no exception."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.cli import check_software
from lab.cli.check import Health
from lab.core.errors import LabError
from lab.driver import instrumentation_cost
from lab.host import child_environment
from lab.providers import redis_benchmark, redis_program
from lab.running import host_baselines
from tests.factories.servers import REDIS_SERVER
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
def test_the_message_has_the_failure_of_the_helper_process(
    program: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The helper of the instrumentation cost exits, prints no number, or does not end."""
    script = tmp_path / "helper"
    script.write_text(f"#!{sys.executable}\n{program}\n")
    script.chmod(0o755)
    child_environment.of_process()  # runs the interpreter once and stores the result
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(instrumentation_cost, "DEADLINE_S", 3.0)
    with pytest.raises(LabError) as error:
        instrumentation_cost.cost_ns()
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("", "redis-benchmark printed no rate, but: ''"),
        ("LPUSH\n", "redis-benchmark printed no rate, but: 'LPUSH'"),
        ('"LPUSH","fast"\n', "redis-benchmark printed no rate"),
    ],
)
def test_output_of_redis_benchmark_without_a_rate_is_rejected(printed: str, reason: str) -> None:
    """The message has the last line of the output."""
    with pytest.raises(LabError, match=reason):
        host_baselines.rate_of(printed)


def test_a_failed_tool_or_server_is_the_reason_of_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First redis-benchmark ends with an exit code, then the server does not start."""
    tool = tmp_path / redis_benchmark.TOOL
    tool.write_text("#!/bin/sh\necho cannot connect >&2\nexit 3\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    rows = list(host_baselines.measure_baselines([spec_of("raw-redis")], "c", 0))
    reasons = {row.method for row in rows if row.baseline.startswith(redis_benchmark.TOOL)}
    assert reasons == {"redis-benchmark ended with code 3: cannot connect"}
    monkeypatch.setattr(redis_benchmark.RedisWithSocket, "options", ("--no-such-option", "1"))
    rows = list(host_baselines.measure_baselines([spec_of("raw-redis")], "c", 0))
    assert {row.value for row in rows if "redis" in row.baseline} == {None}
    assert all(f"{REDIS_SERVER} did not start" in r.method for r in rows if "redis" in r.baseline)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("echo broken library >&2; exit 1", "redis-server --version ended with code 1: broken lib"),
        ("exit 3", "redis-server --version ended with code 3: it printed nothing"),
        ("kill -9 $$", "redis-server --version was killed by SIGKILL: it printed nothing"),
        ("exec sleep 60", "redis-server --version did not end in 1 s"),
    ],
)
def test_a_redis_server_that_fails_to_print_its_version_is_the_reason(
    program: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same sentence is the reason of a trial and the finding of `lab doctor`."""
    tool = tmp_path / "redis-server"
    tool.write_text(f"#!/bin/sh\n{program}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(redis_program, "VERSION_S", 1.0)
    row = run(tmp_path, spec_of("raw-redis")).row
    assert row.status == "failed"
    assert reason in row.reason
    check = check_software.redis()
    assert check.state == Health.MISSING
    assert reason in check.finding


def test_a_redis_server_that_cannot_be_started_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is executable, but not a program."""
    tool = tmp_path / "redis-server"
    tool.write_bytes(b"\0\1\2")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    row = run(tmp_path, spec_of("raw-redis")).row
    reason = "redis-server cannot be started: Exec format error. Install Redis again."
    assert (row.status, row.reason) == ("failed", reason)


def test_the_version_is_unknown_if_the_output_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output may have any encoding, and the server can still be measured."""
    tool = tmp_path / "redis-server"
    tool.write_text("#!/bin/sh\nprintf '\\377 garbage'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    server = redis_program.redis_server()
    assert server == redis_program.Program("redis", "unknown", str(tool), "machine")
