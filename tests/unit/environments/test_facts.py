"""Tests the facts of environments, with a made-up package in two versions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.environments import facts, preparation
from lab.host import environment
from lab.providers import PROVIDERS
from lab.results import run_names
from lab.results.store import Store
from tests.factories.trials import spec_of

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "joblib"
version = "{version}"
"""
# As much of joblib as the lab's adapter uses; tasks run in the caller.
MODULE = """\
def delayed(function):
    return lambda *arguments: (function, arguments)

class Parallel:
    def __init__(self, n_jobs=None, backend=None, **settings):
        pass
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass
    def __call__(self, tasks):
        for function, arguments in tasks:
            function(*arguments)
"""


def project(folder: Path, version: str) -> Path:
    """Write a project of the made-up package."""
    externals = folder / "joblib/externals"
    externals.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT.format(version=version))
    (folder / "joblib/__init__.py").write_text(MODULE)
    (externals / "__init__.py").write_text("")
    (externals / "loky.py").write_text("def set_loky_pickler(_):\n    pass\n")
    return folder


def test_the_facts_of_an_environment_are_stable_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are part of the fingerprint, and absent without an environment."""
    lab = preparation.Interpreter(sys.executable)
    monkeypatch.setattr(preparation, "of_trial", lambda *_: lab)
    assert list(facts.of_trials([spec_of("celery")], PROVIDERS)) == []
    known = list(facts.of_trials([spec_of("celery", environment="celery==5.5.3")], PROVIDERS))
    by_key = {fact.key: fact for fact in known}
    assert by_key["in celery==5.5.3 (celery): package.celery"].stable
    assert len(str(by_key["in celery==5.5.3 (celery): package.celery.sha256"].value)) == 16
    plain, _ = environment.fingerprint()
    other, rows = environment.fingerprint(known)
    assert plain != other
    assert {row.key for row in rows} >= by_key.keys()


@pytest.mark.slow
def test_two_checkouts_run_interleaved_each_with_its_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are in every block, and in the facts of the run; nothing has a path."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = ["bench", "-b", "joblib", "--no-references", "-w", "noop", "--arrival", "burst"]
    words += ["--cores", "1", "--blocks", "2", "--provider", "local", "--allow-disturbed"]
    for number in (1, 2):
        folder = project(tmp_path / f"checkout{number}", f"{number}.0")
        words += ["--with", f"joblib @ file:{folder}"]
    results = tmp_path / "results"
    main([*words, "--tables-only", "--results", str(results)])
    store = Store(run_names.find(None, results, print))
    trials = store.read("trial")
    assert set(trials.status) == {"ok"}
    texts = sorted(set(trials.environment))
    assert sorted(zip(trials.block, trials.environment, strict=True)) == [
        (block, text) for block in (0, 1) for text in texts
    ]
    known = store.read("environment").set_index("key").value
    versions = {known[f"in {text} (joblib): package.joblib"] for text in texts}
    assert versions == {"1.0", "2.0"}
    text = "".join(file.read_text() for file in store.folder.glob("*.csv"))
    assert str(tmp_path / "checkout1") not in text
    assert "joblib @ file:CHECKOUT" in text
