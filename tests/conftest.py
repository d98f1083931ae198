"""What holds for every test: neither time nor the outside decides, and nothing stays behind."""

from __future__ import annotations

import fcntl
import logging
import os
import pickle
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

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

# No deadline, for the suite shares its machine; the same examples each time, so that red is news.
settings.register_profile("lab", deadline=None, derandomize=True)
settings.load_profile("lab")

GRACE_S = 5.0
SIGNALS_AT_START = {number: signal.getsignal(number) for number in interrupts.STOPPING}
Made = TypeVar("Made")
Told = Callable[..., subprocess.CompletedProcess[str]]


def _is_alone(item: pytest.Item | None) -> bool:
    return item is not None and item.get_closest_marker("alone") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that are alone come first, in one go: each wait for others to end idles a core."""
    items.sort(key=lambda item: not _is_alone(item))


# What keeps others out while this process has its turn.
_locks: list[TextIO] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Where tests run side by side (pytest-xdist), one that is marked `alone` has no other beside.

    It closes the door, so that nobody begins, and waits until all who are at work have ended.
    The locks are a process's own: what a test forks and leaves behind holds none. Waiting is no
    part of a test's time.
    """
    if "PYTEST_XDIST_WORKER" in os.environ and not _locks:
        _take_turn(item)
    try:
        return (yield)
    finally:
        if not (_is_alone(item) and _is_alone(nextitem)):
            while _locks:
                _locks.pop().close()


def _take_turn(item: pytest.Item) -> None:
    assert item.config.cache is not None
    folder = item.config.cache.mkdir("turns")
    with (folder / "door").open("w") as door:
        fcntl.lockf(door, fcntl.LOCK_EX)
        _locks.append((folder / "room").open("w+"))
        fcntl.lockf(_locks[0], fcntl.LOCK_EX if _is_alone(item) else fcntl.LOCK_SH)


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the lab remembers of its user between commands lies in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab's own variables reach a test only when the test sets them."""
    for name in [name for name in os.environ if name.startswith("LAB_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """A command sets the handlers of signals for its whole process, here pytest's.

    What a later test forks would inherit it, and might ignore who ends it: what a handler raises
    just after a fork is lost. A fixture of a whole module has run its commands before this one.
    """
    _reset_signals()
    yield
    _reset_signals()


def _reset_signals() -> None:
    for number, handler in SIGNALS_AT_START.items():
        signal.signal(number, handler)


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


class _Defects(logging.Handler):
    """Collects the defects of the lab that were contained in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception."""
        if record.exc_info and record.exc_info[1]:
            self.errors.append(record.exc_info[1])


@pytest.fixture(autouse=True)
def defects_met(request: pytest.FixtureRequest) -> Iterator[list[BaseException]]:
    """A defect that the lab contained fails the test all the same, unless it is marked for it."""
    handler = _Defects()
    defects.LOGGER.addHandler(handler)
    yield handler.errors
    defects.LOGGER.removeHandler(handler)
    if request.node.get_closest_marker("defect") is None:
        for error in handler.errors:
            raise AssertionError("The lab met a defect of its own.") from error


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip is a failure, also where containers are missing: what did not run showed nothing."""
    report = yield
    if report.skipped and "wasxfail" not in vars(report):
        report.outcome = "failed"
        report.longrepr = f"A skip counts as a failure here: {report.longrepr}"
    return report


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for temporary files that a test has for itself; short, for sockets lie there."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.fixture(scope="session")
def containers() -> Images:
    """The images of clusters in containers; where they cannot be had, the test fails."""
    return images.build(lambda _: None)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """Make what is dear once for a session, not once in each of its processes (pytest-xdist).

    `make` is given a folder of its own, for files that everybody reads.
    """
    own = factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    kept = folder / f"{name}.pickle"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(make(folder / name)))
    made: Made = pickle.loads(kept.read_bytes())  # noqa: S301 (our own)
    return made


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """A made-up campaign of few systems that has all that figures and pages show."""

    def make(_: Path) -> Tables:
        # Here and below: most tests need neither pandas nor matplotlib.
        from tests.factories.campaigns import SMALL
        from tests.factories.load_sweeps import with_ladder
        from tests.factories.resources import everything

        return with_ladder(everything(SMALL))

    return once(tmp_path_factory, "made_up", make)


@pytest.fixture(scope="session")
def pictures(made_up: Tables, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Picture]:
    """Every figure of it, drawn once for all tests."""

    def make(folder: Path) -> Mapping[str, Picture]:
        from lab.figures import FIGURES, save
        from tests.factories.bursts import overheads, whole

        of = dict.fromkeys(FIGURES, made_up) | {"granularity": whole(overheads())}
        saved = {name: save(chart, of[name], folder) for name, chart in FIGURES.items()}
        return {name: picture for name, picture in saved.items() if picture}

    return once(tmp_path_factory, "figures", make)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a third party's package that brings the workloads of `broken_workloads`."""
    folder = tmp_path_factory.mktemp("misbehaving")
    broken_workloads.write(folder)
    return folder


@pytest.fixture
def misbehaving(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The workloads of `broken_workloads`, installed on this machine; file name by name."""
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setenv("PYTHONPATH", str(package), prepend=os.pathsep)
    registry.refresh()
    yield broken_workloads.NAMES
    registry.refresh()


@pytest.fixture(scope="session")
def with_package(containers: Images, package: Path) -> Iterator[Images]:
    """The images, the workloads of `broken_workloads` installed in the one of the nodes."""
    with having(package, containers) as images_with_package:
        yield images_with_package


@pytest.fixture
def misbehaving_inside(
    with_package: Images, misbehaving: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The same workloads, for clusters in containers as well."""
    monkeypatch.setattr(images, "resolve", lambda: with_package)
    return misbehaving


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Offer the command `lab` in this process, for what it says before anything runs."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run
