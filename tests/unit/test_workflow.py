"""Tests the workflows and what else lies in .github: rights, pins, commands and versions."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cli.parser import parse
from lab.planning.presets import PRESETS

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
TEXTS = {file.stem: file.read_text(encoding="utf-8") for file in FILES}
WORKFLOWS: dict[str, dict[Any, Any]] = {n: yaml.safe_load(text) for n, text in TEXTS.items()}
MAIN, PULL_REQUEST = (WORKFLOWS[name]["jobs"] for name in ("main", "pull-request"))
STEPS = [s for flow in WORKFLOWS.values() for job in flow["jobs"].values() for s in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_workflows_run_on_pull_requests_and_on_main() -> None:
    """YAML reads the key `on` as true; `pull_request_target` would give the base's rights."""
    events = {name: flow[True] for name, flow in WORKFLOWS.items()}
    assert events == {"main": {"push": {"branches": ["main"]}}, "pull-request": "pull_request"}


def test_jobs_have_the_rights_that_they_declare() -> None:
    """The only job that may write checks nothing out: it runs no code of the pull request."""
    assert all(flow["permissions"] == {} for flow in WORKFLOWS.values())
    writing = {
        name: job
        for name, job in (MAIN | PULL_REQUEST).items()
        if "write" in job["permissions"].values()
    }
    assert {name: job["permissions"] for name, job in writing.items()} == {
        "comment": {"pull-requests": "write"}
    }
    used = [step.get("uses", "") for step in writing["comment"]["steps"]]
    assert not [action for action in used if action.startswith("actions/checkout")]
    checkouts = [s for s in STEPS if s.get("uses", "").startswith("actions/checkout")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_matrix_has_every_python_that_the_project_names() -> None:
    """The classifiers of the package promise what CI tests."""
    prefix = "Programming Language :: Python :: "
    named = [c.removeprefix(prefix) for c in PROJECT["classifiers"] if c.startswith(prefix)]
    assert MAIN["pythons"]["strategy"]["matrix"]["python"] == [n for n in named if "." in n]
    assert PROJECT["requires-python"] == f">={named[1]}"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_issue_forms_are_well_formed(form: Path) -> None:
    """GitHub shows no form with an unknown kind of field, without a label, or without a name."""
    fields = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.stem == "config":
        return
    assert {"name", "description", "body"} <= set(fields)
    assert {field["type"] for field in fields["body"]} <= {"textarea", "input"}
    assert all(field["attributes"]["label"] for field in fields["body"])
    ids = [field["id"] for field in fields["body"]]
    assert len(ids) == len(set(ids))


def test_actions_are_pinned_by_commit() -> None:
    """A tag can be moved to other code; a commit cannot. The tag is a comment for readers."""
    used = re.findall(r"uses: (.*)", "".join(TEXTS.values()))
    assert used
    assert [u for u in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", u)] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_bash_and_hold_no_expression(script: str) -> None:
    """Values of a pull request reach a script as variables, never as part of its text."""
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert "${{" not in script


def test_the_commands_are_the_labs() -> None:
    """Both sides run the same cases of a preset, with enough blocks for intervals."""
    chosen = PULL_REQUEST["comparison"]["env"]["CHOSEN"]
    scripts = [step.get("run", "") for step in PULL_REQUEST["comparison"]["steps"]]
    nox = [line for script in scripts for line in script.splitlines() if "nox -s" in line]
    commands: dict[str, list[Any]] = {}
    for line in nox:
        _, session, words = re.fullmatch(r"(.*)nox -s (\w+) -- ([^|]*).*", line.strip()).groups()  # type: ignore[union-attr]
        words = words.replace("$CHOSEN", chosen)
        commands.setdefault(session, []).append(parse([session, *shlex.split(words)]))
    base, change = commands["bench"]
    assert vars(base) | {"results": 0} == vars(change) | {"results": 0}
    assert change.preset in PRESETS
    assert change.blocks >= 5
    (compared,) = commands["compare"]
    assert (len(compared.sides), compared.format) == (2, "markdown")
