"""Tests that campaigns with random kills lose no row and release all resources."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

KILLS = {"local": 4, "compose": 3}  # each takes half a minute
FAULT_KILLS = 2  # each takes twenty seconds
SUMMARY = ("kills", "chains", "seconds")


# The random instants are for a machine with idle CPUs, and a lab that another test starts would
# remove what a killed lab did not.
@pytest.mark.alone(beside="calm")
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
    errors, kills = counted("kills", n, "--provider", provider, "--fault", fault)
    assert not errors
    assert sum(kills.values()) >= n


@pytest.mark.alone(beside="calm")  # each starting lab removes the remains of others
@pytest.mark.parametrize(
    "provider",
    [
        pytest.param("local", marks=pytest.mark.slow),
        pytest.param("compose", marks=pytest.mark.cluster),
    ],
)
def test_a_kill_during_a_fault_leaves_nothing_stopped_or_cut(
    provider: str, request: pytest.FixtureRequest
) -> None:
    """The next lab, or `lab clean`, removes all processes, containers, networks and volumes."""
    if provider == "compose":
        request.getfixturevalue("containers")
    errors, kills = counted("fault_kills", FAULT_KILLS, "--provider", provider)
    assert not errors
    assert sum(kills.values()) == FAULT_KILLS


def counted(module: str, n: int, *options: str) -> tuple[dict[str, int], dict[str, int]]:
    """Run a program of kills; return its counts of errors, and of the kills of each sort."""
    command = [sys.executable, "-m", f"tests.contract.{module}", str(n), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    sorts = {name: number for name, number in counts.items() if name.startswith("kills: ")}
    errors = {name: number for name, number in counts.items() if name not in {*sorts, *SUMMARY}}
    sys.stderr.write(done.stderr)  # shown if the test fails
    assert counts["kills"] == sum(sorts.values())
    return errors, sorts
