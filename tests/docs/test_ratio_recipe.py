"""Tests the recipe that compares two systems: its number is right, and no row disappears."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

PAGE = Path(__file__).parents[2] / "docs/read-the-results.md"


@pytest.fixture
def recipe() -> dict[str, Any]:
    """The function of the page, without the lines that read a run."""
    text = PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"^(def ratios.*?)^metrics", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"pd": pd}
    exec(block, names)  # noqa: S102 (our own page)
    return names


def rows(label: str, arrival: str, values: list[float], cores: int = 1) -> list[dict[str, Any]]:
    """Return the rates of one system in successive blocks."""
    same = {"workload": "noop", "size": 0, "arrival_param": None, "fault": "", "provider": "local"}
    same |= {"nodes": 1, "cores_per_node": cores, "workers_per_node": cores, "quota_cpus": 0.0}
    rate_hz = None if arrival == "burst" else 50.0
    return [
        {**same, "label": label, "arrival": arrival, "rate_hz": rate_hz, "block": b, "value": v}
        for b, v in enumerate(values)
    ]


def test_bursts_and_rates_are_not_averaged(
    recipe: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A burst is four times as fast, a paced trial equally fast; one block has no partner."""
    rates = pd.DataFrame(
        [
            *rows("a", "burst", [400.0, 480.0]),
            *rows("b", "burst", [100.0, 120.0]),
            *rows("a", "paced", [50.0, 50.0]),
            *rows("b", "paced", [50.0]),
            *rows("a", "burst", [800.0], cores=2),
            *rows("other", "burst", [1.0, 1.0]),
        ]
    )
    pairs = recipe["ratios"](rates, "a", "b")
    assert pairs.groupby("arrival").mean().to_dict() == {"burst": 4.0, "paced": 1.0}
    assert len(pairs) == 3
    assert "3 pairs, 2 trials without a partner" in capsys.readouterr().out


def test_two_trials_of_one_block_are_an_error(recipe: dict[str, Any]) -> None:
    """Attempts of one trial must be chosen before, not averaged."""
    rates = pd.DataFrame([*rows("a", "burst", [1.0]) * 2, *rows("b", "burst", [1.0])])
    with pytest.raises(ValueError, match="duplicate"):
        recipe["ratios"](rates, "a", "b")
