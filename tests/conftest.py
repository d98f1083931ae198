"""Defines fixtures and hooks for all tests: isolation, no remaining process, no skip."""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import pickle
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import settings

from lab.cli.main import main
from lab.core import defects
from lab.host import interrupts, processes
from lab.planning import registry
from lab.providers import images
from lab.providers.images import Images
from tests.cluster.containers import having
from tests.contract.stopping import children
from tests.factories import broken_workloads

if TYPE_CHECKING:
    from lab.figures import Picture, Tables

pytest_plugins = ["tests.turns"]

# No deadline, because the machine is shared; the same examples in each run, so that a failure is a
# consequence of a change.
settings.register_profile("lab", deadline=None, derandomize=True)
settings.load_profile("lab")

# A shell lets its background commands ignore it, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

GRACE_S = 5.0
SIGNALS_AT_START = {number: signal.getsignal(number) for number in interrupts.STOPPING}
Result = TypeVar("Result")
RunCli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exclude all that imports create from garbage collection: it lives as long as the process."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the lab's state between commands in a folder of the tests, not of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _no_lab_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the lab's variables from the environment; a test sets those that it needs."""
    for name in [name for name in os.environ if name.startswith("LAB_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _default_signals() -> Iterator[None]:
    """Reset the signal handlers before and after a test, because commands replace them.

    Here a command runs in pytest's process. A child that a later test forks would inherit the
    handlers and could ignore a signal: an exception that a handler raises just after a fork is
    lost. The reset before the test is for commands in fixtures of a module.
    """
    _reset_signals()
    yield
    _reset_signals()


def _reset_signals() -> None:
    interrupts.install()  # forgets a signal that has arrived, which would end the next trial
    for number, handler in SIGNALS_AT_START.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _no_process_left() -> Iterator[None]:
    """Fail a test whose processes still run after it, and kill them."""
    before = children()
    yield
    remaining = processes.await_end(children() - before, GRACE_S)
    commands = [" ".join(process.cmdline()) for process in remaining]
    for process in remaining:
        process.kill()
    assert not commands, f"Still running after the test: {commands}"


class _Defects(logging.Handler):
    """Collects the exceptions of the lab's defects that it handled in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Store the exception of a record."""
        if record.exc_info and record.exc_info[1]:
            self.errors.append(record.exc_info[1])


@pytest.fixture(autouse=True)
def defects_met(request: pytest.FixtureRequest) -> Iterator[list[BaseException]]:
    """Fail a test in which the lab handled a defect of its own, unless it is marked `defect`."""
    handler = _Defects()
    defects.LOGGER.addHandler(handler)
    yield handler.errors
    defects.LOGGER.removeHandler(handler)
    if request.node.get_closest_marker("defect") is None:
        for error in handler.errors:
            raise AssertionError("The lab handled a defect of its own.") from error


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a skip as a failure, also without containers: a skipped test shows nothing."""
    report = yield
    if report.skipped and "wasxfail" not in vars(report):
        report.outcome = "failed"
        report.longrepr = f"A skip counts as a failure here: {report.longrepr}"
    return report


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Provide a separate folder for temporary files, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.fixture(scope="session")
def containers() -> Images:
    """Build the images of clusters in containers; a test fails if that is not possible."""
    return images.build(lambda _: None)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Result]) -> Result:
    """Return the result of `make`, called once per session and not in each of its processes.

    `make` gets a folder for files that all processes (pytest-xdist) read.
    """
    of_process = factory.getbasetemp()
    folder = of_process.parent if "PYTEST_XDIST_WORKER" in os.environ else of_process
    saved = folder / f"{name}.pickle"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not saved.exists():
            saved.write_bytes(pickle.dumps(make(folder / name)))
    result: Result = pickle.loads(saved.read_bytes())  # noqa: S301 (written above)
    return result


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Return a synthetic campaign of few backends, with data for every figure and page."""

    def make(_: Path) -> Tables:
        # Imported here and below, because most tests need neither pandas nor matplotlib.
        from tests.factories.campaigns import SMALL
        from tests.factories.load_sweeps import with_load_sweep
        from tests.factories.resources import everything

        return with_load_sweep(everything(SMALL))

    return once(tmp_path_factory, "synthetic", make)


@pytest.fixture(scope="session")
def pictures(synthetic: Tables, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Picture]:
    """Draw every figure of the synthetic campaign, once for all tests."""

    def make(folder: Path) -> Mapping[str, Picture]:
        from lab.figures import FIGURES, save
        from tests.factories.bursts import overheads, whole
        from tests.factories.faults import with_faults
        from tests.factories.round_trips import with_round_trips
        from tests.factories.versions import in_versions

        of = dict.fromkeys(FIGURES, synthetic)
        of |= {"granularity": whole(overheads()), "timeline": with_faults(synthetic)}
        of |= {"round-trip": with_round_trips(synthetic)}
        releases = {"rq==2.9": 1.0, "rq==2.10": 1.0, "rq==3": 1.3}
        of |= {"versions": in_versions(synthetic, "rq", releases)}
        saved = {name: save(chart, of[name], folder) for name, chart in FIGURES.items()}
        return {name: picture for name, picture in saved.items() if picture}

    return once(tmp_path_factory, "figures", make)


@pytest.fixture(scope="session")
def plain_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Render the page of a campaign of bursts and paced trials only, once for all tests."""

    def make(_: Path) -> str:
        from lab.report.page import render
        from tests.factories.campaigns import SMALL, campaign

        return render(campaign(SMALL), {})

    return once(tmp_path_factory, "plain-page", make)


@pytest.fixture
def short_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write pages of one figure and without sections, for tests of files, links and exit codes."""
    shorten_page(monkeypatch)


def shorten_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what `short_page` does, for a part of a test or of a fixture."""
    from lab.cli import report as command
    from lab.figures import FIGURES
    from lab.publishing import package
    from lab.report import page

    one = {"overhead": FIGURES["overhead"]}
    monkeypatch.setattr(page, "FIGURES", one)
    monkeypatch.setattr(package, "CHARTS", [*one.values()])
    monkeypatch.setattr(page, "render", lambda *_: "<p>A page</p>")
    monkeypatch.setattr(command, "show_tables", lambda _: None)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a third-party package with the workloads of `broken_workloads`; return its folder."""
    folder = tmp_path_factory.mktemp("misbehaving")
    broken_workloads.write(folder)
    return folder


@pytest.fixture
def misbehaving(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Install the workloads of `broken_workloads`; return file names by workload name."""
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setenv("PYTHONPATH", str(package), prepend=os.pathsep)
    registry.refresh()
    yield broken_workloads.NAMES
    registry.refresh()


@pytest.fixture(scope="session")
def with_package(containers: Images, package: Path) -> Iterator[Images]:
    """Return the images, with the workloads of `broken_workloads` in the image of the nodes."""
    with having(package, containers) as images_with_package:
        yield images_with_package


@pytest.fixture
def misbehaving_inside(
    with_package: Images, misbehaving: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Install the same workloads for clusters in containers as well."""
    monkeypatch.setattr(images, "resolve", with_package.__getitem__)
    return misbehaving


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> RunCli:
    """Return a function that runs the command `lab` in this process and captures its output."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            code = main(arguments)
        except SystemExit as error:
            code = int(error.code or 0)
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run
