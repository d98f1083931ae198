"""Tests that logs of a trial are limited, and that their last line is read from the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.providers.servers import last_line
from lab.running import logs
from tests.factories.trials import run, spec_of


def test_a_log_is_truncated_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line states it; a log within the limit is not changed."""
    monkeypatch.setattr(logs, "MOST_BYTES", 100)
    (tmp_path / "long.log").write_bytes(b"a" * 250)
    (tmp_path / "short.log").write_bytes(b"b" * 100)
    assert "long.log" in (logs.overflow(tmp_path) or "")
    logs.cut(tmp_path)
    end = b"\n[The lab removed 150 bytes here.]\n"
    assert (tmp_path / "long.log").read_bytes() == b"a" * 100 + end
    assert (tmp_path / "short.log").read_bytes() == b"b" * 100


def test_a_trial_whose_log_overflows_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason contains the log, the limit and the next step."""
    monkeypatch.setattr(logs, "MOST_BYTES", 200)
    row = run(tmp_path, spec_of("rq[simple-worker]")).row
    assert row.status == "failed"
    assert ".log has 0 MiB, more than the limit" in row.reason
    assert row.reason.endswith("reduce the output of the task or its backend.")
    sizes = [log.stat().st_size for log in tmp_path.rglob("logs/*.log")]
    assert max(sizes) < 300


def test_the_last_line_of_a_sparse_log_is_read_at_once(tmp_path: Path) -> None:
    """The log has a terabyte, more than the memory of the machine."""
    log = tmp_path / "huge.log"
    with log.open("wb") as file:
        os.truncate(file.fileno(), 2**40)
        file.seek(2**40)
        file.write(b"\nthe last words\n")
    assert last_line(log) == "the last words"
