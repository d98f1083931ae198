"""Tests that names in a foreign run are neither used as paths nor as markup."""

from __future__ import annotations

from pathlib import Path

from tests.factories import campaigns
from tests.unit.history.test_export import SMALL, exported, git


def test_export_rejects_names_that_are_paths_or_markup(tmp_path: Path) -> None:
    """The run has a label with markup, and paths as provider and Python version."""
    tables = dict(campaigns.campaign(SMALL))
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    tables["campaign"] = tables["campaign"].assign(git_commit=commit, git_dirty="0")
    trials = tables["trial"]
    is_first = trials.trial_id == trials.trial_id.iloc[0]
    label = trials.label.mask(is_first, "<img src=x onerror=alert(1)>[x]@y")
    is_last = trials.trial_id == trials.trial_id.iloc[-1]
    tables["trial"] = trials.assign(
        label=label, provider=trials.provider.mask(is_last, "x/../../../../outside")
    )
    facts = tables["environment"]
    is_version = facts.key == "python.version"
    tables["environment"] = facts.assign(value=facts.value.mask(is_version, "../../3.11"))
    results = tmp_path / "deep" / "results"
    campaigns.write(tables, results / "runs" / "run")
    files = exported(results, tmp_path)
    assert files
    assert all(file.resolve().is_relative_to(results.resolve()) for file in files)
    assert not [p for p in tmp_path.rglob("*outside*") if p.is_file()]
    assert not [file for file in files if "<img" in file.read_text(encoding="utf-8")]
