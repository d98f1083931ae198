"""What holds for every test: neither time nor the outside decides, and nothing stays behind."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import settings

from lab import images, processes
from lab.images import Images
from tests import broken_workloads

if TYPE_CHECKING:
    from lab.figures import Picture, Tables

# No deadline, for the suite shares its machine; the same examples each time, so that red is news.
settings.register_profile("lab", deadline=None, derandomize=True)
settings.load_profile("lab")

# Helpers of the standard library that live as long as the interpreter does.
LASTING = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
GRACE_S = 5.0


def children() -> set[psutil.Process]:
    """Every process below this one that is still at work."""
    alive = set()
    for child in psutil.Process().children(recursive=True):
        try:
            words = " ".join(child.cmdline())
        except psutil.Error:
            continue  # ended while we looked
        # A zombie has no words: it has ended, and only its exit code waits.
        if words and not any(helper in words for helper in LASTING):
            alive.add(child)
    return alive


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab's own variables reach a test only when the test sets them."""
    for name in [name for name in os.environ if name.startswith("LAB_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    """A test that leaves a process behind has failed, whatever else it found."""
    before = children()
    yield
    left = processes.await_end(children() - before, GRACE_S)
    told = [" ".join(process.cmdline()) for process in left]
    for process in left:
        process.kill()
    assert not told, f"Still running after the test: {told}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip is a failure, also where containers are missing: what did not run showed nothing."""
    report = yield
    if report.skipped and "wasxfail" not in vars(report):
        report.outcome = "failed"
        report.longrepr = f"A skip counts as a failure here: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def containers() -> Images:
    """The images of clusters in containers; where they cannot be had, the test fails."""
    return images.build(lambda _: None)


@pytest.fixture(scope="session")
def made_up() -> Tables:
    """A made-up campaign of few systems that has all that figures and pages show."""
    # Here and below: most tests need neither pandas nor matplotlib.
    from tests.synthetic import SMALL
    from tests.synthetic_upkeep import everything

    return everything(SMALL)


@pytest.fixture(scope="session")
def pictures(made_up: Tables, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Picture]:
    """Every figure of it, drawn once for all tests."""
    from lab.figures import FIGURES, save

    folder = tmp_path_factory.mktemp("figures")
    saved = {name: save(chart, made_up, folder) for name, chart in FIGURES.items()}
    return {name: picture for name, picture in saved.items() if picture}


@pytest.fixture
def misbehaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The workloads of `broken_workloads`, installed as a third party would; file name by name."""
    plugin = tmp_path / "plugin"
    about = plugin / "misbehaving-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving\nVersion: 1\n")
    names = {
        name: f"misbehaving_{name.lower()}"
        for name in ("MIXED", "RAISING", "HANGING", "LYING", "DYING")
    }
    for name, module in names.items():
        (plugin / f"{module}.py").write_text(getattr(broken_workloads, name))
    lines = [f"{module} = {module}" for module in names.values()]
    (about / "entry_points.txt").write_text("\n".join(["[lab.workloads]", *lines]))
    monkeypatch.syspath_prepend(str(plugin))
    monkeypatch.setenv("PYTHONPATH", str(plugin), prepend=os.pathsep)
    return names
