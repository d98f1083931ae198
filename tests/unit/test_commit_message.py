"""Tests the check of commit messages that pre-commit and CI run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.factories.scripts import script

ROOT = Path(__file__).parents[2]
commit_message = script(".ci/commit_message.py")


@pytest.mark.parametrize(
    "message",
    [
        "driver: limit the backlog",
        "providers/compose: pin the images by digest\n\nWhy, and the figure. See /etc/hosts.\n",
        "docs: process every page\n# Enter the commit message for your changes. " + "x" * 99,
        "results: pass damaged rows over",
        "driver, worker: record the start of a task",
        "Merge branch 'main' into a-branch",
        'Revert "driver: limit the backlog"',
        f"ci: {'x' * 68}",
    ],
)
def test_a_good_message_passes(message: str) -> None:
    """The convention, long bodies, comments of git, and subjects that git writes itself."""
    assert list(commit_message.problems(message)) == []


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("", "room: imperative subject"),
        ("Limit the backlog", "room: imperative subject"),
        ("Driver: limit the backlog", "room: imperative subject"),
        ("driver: limits the backlog", "'limits' is not an imperative"),
        ("driver: limited the backlog", "'limited' is not an imperative"),
        ("driver: limiting the backlog", "'limiting' is not an imperative"),
        ("driver: limit the backlog.", "full stop"),
        (f"ci: {'x' * 69}", "73 characters"),
        ("driver: limit the backlog\nat once", "second line"),
        ("driver: limit the backlog\n\nSeen in /" + "home/a/lab.", "a path of one machine"),
    ],
)
def test_a_broken_rule_is_named(message: str, problem: str) -> None:
    """Each rule is reported by itself."""
    (sentence,) = commit_message.problems(message)
    assert problem in sentence


def test_a_message_file_is_checked_as_the_hook_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Git passes the name of a file; the output has the subject and what is wrong with it."""
    file = tmp_path / "COMMIT_EDITMSG"
    file.write_text("driver: limit the backlog\n")
    assert commit_message.main([str(file)]) == 0
    file.write_text("limit\n")
    assert commit_message.main([str(file)]) == 1
    assert re.match(r"limit\n  The subject is not", capsys.readouterr().out)


def test_each_commit_of_a_range_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CI checks all commits of a pull request, and names those that break a rule."""
    monkeypatch.chdir(tmp_path)
    identity = ("-c", "user.name=x", "-c", "user.email=x", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "init", "--quiet"], check=True)
    for message in ("ci: add a file", "ci: add a second\n\nWhy.", "Third"):
        commit = ["git", *identity, "commit", "--quiet", "--allow-empty", "-m", message]
        subprocess.run(commit, check=True)
    assert commit_message.main(["--commits", "HEAD~2..HEAD~1"]) == 0
    assert commit_message.main(["--commits", "HEAD~2..HEAD"]) == 1
    assert capsys.readouterr().out.splitlines()[0] == "Third"


def test_pre_commit_runs_the_checks_of_this_repository() -> None:
    """Each hook is a program of the lint environment or a script that is there."""
    (source,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert source["repo"] == "local"
    hooks = {hook["id"]: hook for hook in source["hooks"]}
    assert set(hooks) == {"ruff-check", "ruff-format", "wording", "commit-message"}
    assert hooks["commit-message"]["stages"] == ["commit-msg"]
    for hook in hooks.values():
        program, argument, *_ = hook["entry"].split()
        assert program.startswith(".nox/lint/bin/")
        assert not argument.endswith(".py") or (ROOT / argument).is_file()
