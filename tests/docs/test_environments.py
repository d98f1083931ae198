"""Tests that every command of docs/environments.md is one of the lab."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from lab.cli import selection
from lab.cli.parser import parse
from lab.environments import interpreters
from lab.planning.plan import make_plan
from lab.planning.presets import PRESETS

PAGE = Path(__file__).parents[2] / "docs/environments.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_page_is_valid(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A campaign is planned in the environments that its options name; others are parsed."""
    # Not every machine has each of the interpreters, nor a checkout.
    monkeypatch.setattr(interpreters, "find", Path)
    (tmp_path / "pyproject.toml").write_text("")
    program, *words = shlex.split(line.replace("../celery", str(tmp_path)))
    assert program == "lab"
    options = parse(words)
    if options.command == "bench":
        plan = make_plan(selection.select(options, PRESETS["quick"]))
        named = words.count("--with") * max(1, words.count("--python")) or words.count("--python")
        system = words[words.index("-b") + 1]
        assert len({spec.environment for spec in plan.trials if spec.backend == system}) == named
