"""The workflow for pull requests: well formed, no needless rights, and the commands are ours."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cli.main import parser
from lab.planning.presets import PRESETS

ROOT = Path(__file__).parents[2]
(FILE,) = (ROOT / ".github/workflows").glob("*.yml")
WORKFLOW: dict[Any, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
JOBS: dict[str, Any] = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]


def test_it_runs_on_pull_requests_only() -> None:
    """YAML reads the key `on` as true; `pull_request_target` would hand out the base's rights."""
    assert WORKFLOW[True] == "pull_request"


def test_nothing_is_permitted_but_what_a_job_asks_for() -> None:
    """The only job that may write checks nothing out: it runs no code of the pull request."""
    assert WORKFLOW["permissions"] == {}
    writing = {n: j for n, j in JOBS.items() if "write" in j["permissions"].values()}
    assert {name: job["permissions"] for name, job in writing.items()} == {
        "comment": {"pull-requests": "write"}
    }
    used = [step.get("uses", "") for step in writing["comment"]["steps"]]
    assert not [action for action in used if action.startswith("actions/checkout")]
    checkouts = [s for s in STEPS if s.get("uses", "").startswith("actions/checkout")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_actions_are_pinned_by_commit() -> None:
    """A tag can be moved to other code; a commit cannot. The tag stands beside it for people."""
    used = re.findall(r"uses: (.*)", FILE.read_text(encoding="utf-8"))
    assert used
    assert [u for u in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", u)] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_bash_and_hold_no_expression(script: str) -> None:
    """What comes from a pull request reaches a script as a variable, never as its text."""
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert "${{" not in script


def test_the_commands_are_the_labs() -> None:
    """What is measured is the preset quick with enough blocks for intervals; both sides alike."""
    chosen = JOBS["comparison"]["env"]["CHOSEN"]
    asked = [line for script in SCRIPTS for line in script.splitlines() if "nox -s" in line]
    commands: dict[str, list[Any]] = {}
    for line in asked:
        _, session, words = re.fullmatch(r"(.*)nox -s (\w+) -- ([^|]*).*", line.strip()).groups()  # type: ignore[union-attr]
        words = words.replace("$CHOSEN", chosen)
        commands.setdefault(session, []).append(parser().parse_args([session, *shlex.split(words)]))
    base, change = commands["bench"]
    assert vars(base) | {"results": 0} == vars(change) | {"results": 0}
    assert change.preset in PRESETS
    assert change.blocks >= 5
    (compared,) = commands["compare"]
    assert (len(compared.sides), compared.format) == (2, "markdown")
