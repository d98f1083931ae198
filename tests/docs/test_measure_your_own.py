"""Tests the page on functions of the user: folders, import paths, and Django settings."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.conftest import RunCli

Plan = Callable[..., CompletedProcess[str]]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/measure-your-own.md").read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of a reader: one package in a `src` layout, and a Django site with a task."""
    for package in ("src/shop", "mysite"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
    resize = "def resize(name, width):\n    return f'{name}:{width}'\n"
    (tmp_path / "src/shop/images.py").write_text(resize)
    (tmp_path / "mysite/settings.py").write_text("SECRET_KEY = 'x'\nGREETING = 'hello'\n")
    (block,) = re.findall(r"^```py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    greet = "from django.conf import settings\ndef greet(name):\n    return settings.GREETING\n"
    (tmp_path / "mysite/tasks.py").write_text(block + greet)
    return tmp_path


@pytest.fixture
def plan(project: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli) -> Plan:
    """Return a function that plans a run of a function in the project's folder."""
    monkeypatch.chdir(project)

    def run(*options: str, path: str = "") -> CompletedProcess[str]:
        monkeypatch.setenv("PYTHONPATH", path)
        return run_cli("bench", "--dry-run", "--provider", "local", *options)

    return run


def test_a_src_layout_needs_its_folder_on_the_path(project: Path, plan: Plan) -> None:
    """The command of the page stops before the first trial, and with the variable it does not."""
    (command,) = re.findall(r"^lab bench (--task shop.*)$", PAGE, re.MULTILINE)
    task = ("--task", "shop.images:resize", "--args", '["cat.png", 200]', "-b", "thread-pool")
    assert command.startswith("""--task shop.images:resize --args '["cat.png", 200]' -b""")
    without = plan(*task)
    assert without.returncode == 2
    assert "No module named 'shop'" in without.stderr
    assert str(project) in without.stderr
    assert plan(*task, path="src").returncode == 0


def test_a_function_that_loads_its_django_settings_runs(plan: Plan) -> None:
    """The lines of the page in front of a task are enough."""
    task = ("--task", "mysite.tasks:greet", "--args", '["Ada"]', "-b", "thread-pool")
    done = plan(*task)
    assert (done.returncode, done.stderr.count("Improperly")) == (0, 0)


def test_the_variable_of_django_cannot_be_passed(plan: Plan) -> None:
    """The page says so; the message does too."""
    task = ("--task", "mysite.tasks:greet", "--pass-env", "DJANGO_SETTINGS_MODULE")
    done = plan(*task, "-b", "thread-pool")
    assert done.returncode == 2
    assert "DJANGO_SETTINGS_MODULE" in done.stderr
