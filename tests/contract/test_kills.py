"""Campaigns that are struck at random leave nothing behind, and lose no row."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

STRIKES = {"local": 7, "compose": 3}  # ten in all: each takes half a minute
ABOUT = ("chains", "seconds")


@pytest.mark.alone  # the instants are drawn for a machine that does nothing else
@pytest.mark.parametrize(
    "provider",
    [
        pytest.param("local", marks=pytest.mark.slow),
        pytest.param("compose", marks=pytest.mark.cluster),
    ],
)
def test_strikes_at_random_instants_leave_nothing_and_lose_nothing(
    provider: str, request: pytest.FixtureRequest
) -> None:
    """No survivor, no unreadable table, no row missing, extra or doubled, no temporary folder."""
    if provider == "compose":
        request.getfixturevalue("containers")
    n = STRIKES[provider]
    words = [sys.executable, "-m", "tests.contract.kills", str(n), "--provider", provider]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    struck = {name: number for name, number in counts.items() if name.startswith("strikes")}
    assert struck.pop("strikes") == sum(struck.values()) >= n
    wrong = counts.keys() - struck.keys() - {"strikes", *ABOUT}
    assert not wrong, done.stderr
