"""Tests that entry points that fail, or that use a name in use, are left out with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import backends
from lab.backends.rq import Rq
from lab.core.errors import UsageError
from lab.planning import registry
from tests.conftest import RunCli

SOUND = """
from lab.backends import inline as _inline
Other = _inline.Inline
"""
INCOMPLETE = """
from lab.core.backend import Backend
class X(Backend):
    variants = ()
    def start(self): ...
    def stop(self): ...
"""
# Name of the entry: its group, its module's source, the object, and a part of the reason.
BROKEN = {
    "raises": ("lab.backends", "raise ValueError('no\x1b[31m such')", ":X", "raised ValueError"),
    "exits": ("lab.backends", "raise SystemExit(0)", ":X", "raised SystemExit"),
    "stops": ("lab.backends", "class S(BaseException): ...\nraise S", ":X", "raised S"),
    "lacks": ("lab.backends", "import no_such_package", ":X", "ModuleNotFoundError"),
    "absent": ("lab.backends", "", ":X", "AttributeError"),
    "text": ("lab.backends", "X = 'text'", ":X", "is not a subclass of lab.plugin.Backend"),
    "partial": (
        "lab.backends",
        "from lab.core.backend import Backend\nclass X(Backend): ...",
        ":X",
        "does not implement start, stop",
    ),
    "incomplete": (
        "lab.backends",
        INCOMPLETE,
        ":X",
        "does not define family, summary, variants",
    ),
    "former": (
        "lab.backends",
        f"{INCOMPLETE}    ceilings = ()\n",
        ":X",
        "ceilings, which is named references since 0.2.0",
    ),
    "a b": ("lab.backends", SOUND, ":Other", "a name that has other characters"),
    "rq": ("lab.backends", SOUND, ":Other", "the name of a built-in backend"),
    "loud": ("lab.backends", "print('LOUD')\nraise ValueError", ":X", "raised ValueError"),
    "task_raises": ("lab.workloads", "1 / 0", "", "raised ZeroDivisionError"),
    "task_empty": ("lab.workloads", "def run(x): ...", "", "does not define SUMMARY"),
    "task_text": ("lab.workloads", "X = 'text'", ":X", "is not a module"),
    "noop": ("lab.workloads", "", "", "the name of a built-in workload"),
    "latency": ("lab.workloads", "", "", "the name of a built-in workload"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of packages: one for each case, and two that declare the same name."""
    folder = tmp_path_factory.mktemp("site")
    cases = {name: case[:3] for name, case in BROKEN.items()}
    for number, (name, (group, text, attribute)) in enumerate(cases.items()):
        install(folder, f"pack{number}", group, name, text, attribute)
    for package in ("first", "second"):
        install(folder, package, "lab.backends", "twice", SOUND, ":Other")
    install(folder, "sound", "lab.backends", "sound", "print('LOUD')\n" + SOUND, ":Other")
    return folder


def install(folder: Path, package: str, group: str, name: str, text: str, attribute: str) -> None:
    """Write the files of an installed wheel."""
    (folder / f"{package}_module.py").write_text(text)
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    entry = f"[{group}]\n{name} = {package}_module{attribute}\n"
    (metadata / "entry_points.txt").write_text(entry)


@pytest.fixture
def _installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install these packages, in this process and in those that the lab starts."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("COLUMNS", "250")
    registry.refresh()
    yield
    registry.refresh()


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Clear the registry's caches before and after a test."""
    registry.refresh()
    yield
    registry.refresh()


@pytest.mark.usefixtures("_installed")
def test_each_is_listed_with_its_reason(run_cli: RunCli) -> None:
    """Each is listed once on standard error and once in the table; the others are available."""
    shown = run_cli("list")
    assert shown.returncode == 0, shown.stderr
    lines = shown.stderr.splitlines()
    for name, (group, *_, reason) in BROKEN.items():
        kind = group.removeprefix("lab.").removesuffix("s").capitalize()
        (line,) = [line for line in lines if line.startswith(f"{kind} {name!r} is left out: ")]
        assert reason in line
        assert line.endswith(".")
    (line,) = [line for line in lines if "'twice'" in line]
    assert "package first and package second declare the same name" in line
    assert len(lines) == len(BROKEN) + 1
    table = " ".join(shown.stdout.partition("Left out")[2].split())
    assert "not a subclass of lab.plugin.Backend" in table
    assert "rq[worker]" in shown.stdout
    assert "sound[" in shown.stdout
    assert "LOUD" not in shown.stdout + shown.stderr
    assert "\x1b" not in shown.stdout + shown.stderr


@pytest.mark.usefixtures("_installed")
def test_left_out_entries_do_not_end_a_campaign(tmp_path: Path, run_cli: RunCli) -> None:
    """The selected backends run, and a built-in is not replaced by an entry of the same name."""
    chosen = ("-b", "inline", "-b", "rq", "-w", "noop", "--arrival", "burst")
    small = ("--tasks", "20", "--blocks", "1", "--cores", "1", "--provider", "local")
    where = ("--allow-dirty", "--tables-only", "--results", str(tmp_path))
    shown = run_cli("bench", *chosen, *small, *where)
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr.count("is left out") == len(BROKEN) + 1
    (run,) = (tmp_path / "runs").iterdir()
    text = (run / "trial.csv").read_text()
    assert "rq[worker]@default" in text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("-b", "raises"), "Backend 'raises' is not available: its import raised ValueError"),
        (("-b", "exits"), "Backend 'exits' is not available: its import raised SystemExit: 0."),
        (("-b", "twice"), "Backend 'twice' is not available: package first and package second"),
        (("-w", "task_raises"), "Workload 'task_raises' is not available: its import raised"),
    ],
)
@pytest.mark.usefixtures("_installed")
def test_selecting_a_left_out_entry_shows_the_reason(
    arguments: tuple[str, ...], reason: str, run_cli: RunCli
) -> None:
    """The command ends with code 2 and one sentence."""
    shown = run_cli("bench", *arguments, "--dry-run")
    assert shown.returncode == 2
    assert reason in " ".join(shown.stderr.split())
    assert "Traceback" not in shown.stderr


@pytest.mark.usefixtures("_installed")
def test_the_doctor_lists_left_out_entries(run_cli: RunCli) -> None:
    """Each entry is a separate check with the next step, and the exit code says that it lacks."""
    shown = run_cli("doctor")
    assert shown.returncode == 1, shown.stderr
    table = " ".join(shown.stdout.split())
    for name in ("backend raises", "backend rq", "workload task_empty"):
        assert name in table
    assert "update or uninstall" in table


@pytest.mark.usefixtures("forgotten")
def test_a_file_of_the_lab_that_cannot_be_imported_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken dependency affects only its backend."""
    (tmp_path / "made_up.py").write_text("import no_such_package\n")
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(tmp_path)])
    assert "made-up" not in registry.backends()
    assert registry.select("rq").backend is Rq
    (left_out,) = registry.left_out()
    assert (left_out.kind, left_out.name) == ("backend", "made-up")
    with pytest.raises(UsageError, match="'made-up' is not available: its import raised Module"):
        registry.select("made-up")
