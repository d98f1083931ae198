"""What the lab passes on to the processes that it starts: variables, folders, and nothing else."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab import surroundings
from tests.foreign import JUNK, write_shadows

LAB = Path(surroundings.__file__).parent
# Files that ask git and asv, tools of the user's, and measure nothing.
OF_THE_USER = {"environment.py", "sides.py", "page.py", "measured.py", "command.py", "inside.py"}
SHOW = "import json, os, sys; print(json.dumps([dict(os.environ), sys.path]))"


@pytest.fixture
def junk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this process the variables of a user who works on something else."""
    for name, value in JUNK.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("junk")
def test_only_names_on_the_list_are_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the shell holds; the engine's client is given what leads it to its engine."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "another")
    assert not {*surroundings.of_process(), *surroundings.of_download()} & {*JUNK}
    assert set(surroundings.of_process()) <= {
        *surroundings.PROCESS, *surroundings.SAFE_PATH, "PYTHONPATH", "LC_ALL",
    }  # fmt: skip
    assert "DOCKER_HOST" in surroundings.of_engine()
    assert not {"DOCKER_HOST", "COMPOSE_PROJECT_NAME"} & {*surroundings.of_process()}
    assert "COMPOSE_PROJECT_NAME" not in surroundings.of_download()


@pytest.mark.usefixtures("junk")
def test_modules_of_the_user_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the standard library and every installed package, in the order that Python has."""
    here, other = tmp_path / "here", tmp_path / "other"
    for folder in (here, other):
        folder.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", str(other))
    environment = surroundings.of_process() | surroundings.with_users_code()
    command = [sys.executable, "-c", SHOW]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    seen, path = json.loads(done.stdout)
    assert path == [*surroundings.own_path(), str(here), str(other)]
    assert not set(seen) & {*JUNK}
    done = subprocess.run(command, env=surroundings.of_process(), capture_output=True, check=True)
    assert json.loads(done.stdout)[1] == [*surroundings.own_path()]


def test_each_process_is_given_its_environment() -> None:
    """No file of lab/ starts a program with whatever this process was given."""
    missing = [
        f"{file.name}:{node.lineno}"
        for file in LAB.rglob("*.py")
        if file.name not in OF_THE_USER
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("subprocess.run", "subprocess.Popen")
        and "env" not in {keyword.arg for keyword in node.keywords}
    ]
    assert missing == []


def test_a_folder_with_names_of_the_standard_library_disturbs_no_command(
    tmp_path: Path,
) -> None:
    """Files such as statistics.py lie where the lab is started: nothing of the user's is asked."""
    write_shadows(tmp_path)
    script = Path(sys.executable).with_name("lab")
    words = ["bench", "-b", "thread-pool", "-b", "process-pool", "-w", "noop", "--tasks", "20"]
    words += ["--arrival", "burst", "--blocks", "1", "--cores", "1", "--provider", "local"]
    words += ["--tables-only", "--results", "r"]
    done = subprocess.run(
        [script, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
