"""Tests the page on functions of the user: folders, import paths, and Django settings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def plan(project: Path, *options: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """Plan a run of a function in the project's folder."""
    command = [sys.executable, "-m", "lab.cli", "bench", "--dry-run", "--provider", "local"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{path}"}
    return subprocess.run(
        [*command, *options], cwd=project, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_a_src_layout_needs_its_folder_on_the_path(project: Path) -> None:
    """The command of the page stops before the first trial, and with the variable it does not."""
    (command,) = re.findall(r"^lab bench (--task shop.*)$", PAGE, re.MULTILINE)
    task = ("--task", "shop.images:resize", "--args", '["cat.png", 200]', "-b", "thread-pool")
    assert command.startswith("""--task shop.images:resize --args '["cat.png", 200]' -b""")
    without = plan(project, *task)
    assert without.returncode == 2
    assert "No module named 'shop'" in without.stderr
    assert str(project) in without.stderr
    assert plan(project, *task, path="src").returncode == 0


def test_a_function_that_loads_its_django_settings_runs(project: Path) -> None:
    """The lines of the page in front of a task are enough."""
    task = ("--task", "mysite.tasks:greet", "--args", '["Ada"]', "-b", "thread-pool")
    done = plan(project, *task)
    assert (done.returncode, done.stderr.count("Improperly")) == (0, 0)


def test_the_variable_of_django_cannot_be_passed(project: Path) -> None:
    """The page says so; the message does too."""
    task = ("--task", "mysite.tasks:greet", "--pass-env", "DJANGO_SETTINGS_MODULE")
    done = plan(project, *task, "-b", "thread-pool")
    assert done.returncode == 2
    assert "DJANGO_SETTINGS_MODULE" in done.stderr
