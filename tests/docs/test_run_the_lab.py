"""Tests the durations that docs/run-the-lab.md and README.md state against the estimate."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.analysis.labels import REFERENCE
from lab.campaign.estimate import total_s
from lab.cli.parser import parse
from lab.cli.selection import select
from lab.core import placement
from lab.planning import registry
from lab.planning.plan import make_plan
from lab.planning.presets import PRESETS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/run-the-lab.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)`.*? \| [\w ]+ \| ([\w ]+) \| ([\w ]+) \| ", re.MULTILINE)
STATED = {name: columns for name, *columns in ROW.findall(PAGE)}
UNITS = {"s": 1, "min": 60, "h": 3600}


def seconds_of(text: str) -> int:
    """Return the seconds of a text such as ``2 h 40 min``."""
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+) (\w+)", text))


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize(("column", "words"), [(0, ()), (1, ("-b", "celery", "-b", "rq"))])
def test_a_preset_takes_as_long_as_the_page_says(
    preset: str, column: int, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes on two cores; a fifth more or less is the same to a reader."""
    # Not by --cores, after which every case runs on each number of cores.
    monkeypatch.setattr(placement, "available_cpus", lambda: [0, 1])
    options = parse(["bench", "--provider", "local", *words])
    selection = select(options, PRESETS[preset])
    systems = [s for s in map(registry.select, selection.labels) if s.backend.family != REFERENCE]
    assert len(systems) == (2 if words else 14)
    planned_s = total_s(make_plan(selection).trials)
    assert planned_s == pytest.approx(seconds_of(STATED[preset][column]), rel=0.2)


def test_the_readme_names_the_default_preset_and_the_same_durations() -> None:
    """The default is the one that the command line has."""
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    default = parse(["bench"]).preset
    minutes, (hours, of_two) = STATED[default][0].split()[0], STATED["standard"]
    assert f"runs the preset `{default}`: its 14 systems, in about {minutes} minutes" in readme
    assert f"{hours.split()[0]} hours for them, {of_two} for Celery and RQ" in readme
