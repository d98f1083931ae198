"""Tests that campaigns with random kills lose no row and release all resources."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

KILLS = {"local": 7, "compose": 3}  # each takes half a minute
SUMMARY = ("chains", "seconds")


@pytest.mark.alone  # the random instants are for an idle machine
@pytest.mark.parametrize(
    ("provider", "fault"),
    [
        pytest.param("local", "", marks=pytest.mark.slow),
        # The drain waits for the paused worker, so most kills are between injection and healing.
        pytest.param("local", "worker-pause", marks=pytest.mark.slow),
        pytest.param("compose", "", marks=pytest.mark.cluster),
    ],
)
def test_random_kills_lose_no_row_and_leave_no_process(
    provider: str, fault: str, request: pytest.FixtureRequest
) -> None:
    """No surviving process, unreadable table, wrong row or temporary folder is counted."""
    if provider == "compose":
        request.getfixturevalue("containers")
    n = KILLS[provider]
    command = [sys.executable, "-m", "tests.contract.kills", str(n), "--provider", provider]
    command += ["--fault", fault]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    kills = {name: number for name, number in counts.items() if name.startswith("kills")}
    assert kills.pop("kills") == sum(kills.values()) >= n
    errors = counts.keys() - kills.keys() - {"kills", *SUMMARY}
    assert not errors, done.stderr
