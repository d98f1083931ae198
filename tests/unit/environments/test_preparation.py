"""Tests which interpreter a trial has, and what its environment is made from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab.environments import cache, interpreters, preparation
from lab.environments.installation import python_of
from lab.environments.recipe import Recipe
from lab.host import child_environment


def test_a_trial_without_an_environment_has_the_interpreter_of_the_lab() -> None:
    """Nothing is created, and no variable changes."""
    interpreter = preparation.of_trial("celery", "")
    assert interpreter == preparation.Interpreter(sys.executable, None)
    assert preparation.variables(interpreter) == {}


def test_an_override_concerns_the_systems_that_use_its_package() -> None:
    """A reference has the environment of a system, but only its own packages."""
    text = "celery==5.5.3"
    assert "celery[redis]==5.5.3" in preparation.recipe_of("celery", text).requirements
    base, build = interpreters.identity(Path(sys.executable))
    reference = preparation.recipe_of("inline", text)
    assert reference == Recipe(str(base), build, (), "")
    assert Path(sys.prefix) not in base.parents


@pytest.mark.slow
def test_an_environment_imports_the_lab_and_none_of_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one, without packages: the driver starts in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache.create(preparation.recipe_of("inline", "3"), "3")
    interpreter = preparation.Interpreter(str(python_of(folder)), folder)
    program = "import lab.driver.driver, importlib.util; print(importlib.util.find_spec('numpy'))"
    done = subprocess.run(
        [interpreter.python, "-c", program],
        env=child_environment.of_process() | preparation.variables(interpreter),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.strip() == "None"
