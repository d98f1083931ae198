"""Tests writing to a run with a link or a folder in place of a file, or to a full disk.

A run may come from another user, so no link in it is followed, neither to a file nor to a folder.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.campaign import consent
from lab.cli.main import main
from lab.core import defects, files
from lab.core.errors import DiskError, ExitCode, ResultsError
from lab.figures import FIGURES, Tables
from lab.history import machines
from lab.host import temp_dirs
from lab.report import page
from tests.conftest import once
from tests.factories import finished_run

# A page takes three CPU seconds, and its content does not matter here.
pytestmark = pytest.mark.usefixtures("short_page")
RUN = "run"
THEIRS = "belongs to another user\n"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an intact run folder."""
    return once(tmp_path_factory, "finished", finished_run.write)


@pytest.fixture
def results(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a results folder with a copy of the run, in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(sound, tmp_path / "results" / "runs" / RUN)
    return tmp_path / "results"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a folder of another user, with one file."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "key").write_text(THEIRS)
    return folder


def content(folder: Path) -> dict[str, str]:
    """Return the text of each file in a folder."""
    return {path.name: path.read_text() for path in folder.iterdir()}


def link(path: Path, to: Path) -> None:
    """Replace a file or a folder by a link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(to)


LINKS = (
    *("report.html", "figures/overhead.png", "figures/overhead.svg", "figures/overhead.csv"),
    *("metric.csv", "estimate.csv", "trend.csv", "lock", "report.html.new", "metric.csv.new"),
)


def test_no_link_to_a_file_is_followed(
    results: Path, victim: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Writing into a run does not change the target of a link."""
    run = results / "runs" / RUN
    for name in LINKS:
        link(run / name, victim / "key")
    for command in ("report", "bench --resume", "history", "publish"):
        main([*command.split(), *([] if command == "history" else [str(run)])])
        assert content(victim) == {"key": THEIRS}, command
        assert "defect" not in capsys.readouterr().err
    packed = b"".join(p.read_bytes() for p in results.rglob("published/*/*") if p.is_file())
    assert THEIRS.encode() not in packed


def add_hard_link(path: Path, folder: Path) -> None:
    """Give a file of the run a second name in a folder of another user."""
    other = folder / str(path).replace(os.sep, "-")
    other.hardlink_to(path)


def test_files_with_hard_links_are_not_written_in_place(
    results: Path, victim: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The content under the second name of each file does not change."""
    run = results / "runs" / RUN
    for name in LINKS:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).touch()
    for path in run.rglob("*"):
        if path.is_file():
            add_hard_link(path, victim)
    before = {path: path.read_bytes() for path in victim.iterdir()}
    for command in ("report", "bench --resume", "history", "publish"):
        main([*command.split(), *([] if command == "history" else [str(run)])])
        assert {path: path.read_bytes() for path in victim.iterdir()} == before, command
        assert "defect" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["trial.csv", "campaign.csv", "lock"])
def test_a_table_with_a_second_name_is_not_appended_to(
    results: Path, victim: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The campaign is not resumed; one sentence has the reason, before any trial runs."""
    run = results / "runs" / RUN
    table = run / "trial.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    (run / name).touch()
    add_hard_link(run / name, victim)
    before = (run / name).read_bytes()
    assert main(["bench", "--resume", str(run)]) == ExitCode.USAGE
    message = " ".join(capsys.readouterr().err.split())
    assert f"{name} has 2 names (hard links)" in message
    assert "replace it by a copy" in message
    assert "Trial" not in message
    assert (run / name).read_bytes() == before


@pytest.mark.parametrize("name", ["figures", "trials"])
def test_no_link_to_a_folder_is_followed(
    results: Path, victim: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written below a folder that is a link."""
    run = results / "runs" / RUN
    link(run / name, victim)
    for command in (["report", str(run)], ["bench", "--resume", str(run)], ["publish", str(run)]):
        main(command)
        assert content(victim) == {"key": THEIRS}, command
        assert "defect" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["report.html", "metric.csv", "report.html.new", "lock"])
def test_a_folder_in_the_place_of_a_file_is_a_sentence(
    results: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence contains its path."""
    path = results / "runs" / RUN / name
    path.unlink(missing_ok=True)
    path.mkdir()
    command = ["bench", "--resume"] if name == "lock" else ["report"]
    code = main([*command, str(path.parent)])
    message = " ".join(capsys.readouterr().err.split())
    assert code == ExitCode.USAGE, message
    assert f"{name.removesuffix('.new')}" in message
    assert "Is a directory" in message or "is a folder" in message
    assert "defect" not in message


@pytest.mark.parametrize(
    "name", ["machines.json", "history/change-points.html", "history", "null/x.json"]
)
def test_no_link_in_the_results_folder_is_followed(tmp_path: Path, victim: Path, name: str) -> None:
    """The files are the names of machines, the page of change points and the noise of a machine."""
    link(tmp_path / name, victim / "key" if "." in name else victim)
    path = tmp_path / name if "." in name else tmp_path / name / "change-points.html"
    if path.is_symlink():
        files.put(path, b"new", tmp_path)
        assert path.read_bytes() == b"new"
    else:
        with pytest.raises(ResultsError, match="is a symbolic link"):
            files.put(path, b"new", tmp_path)
    assert content(victim) == {"key": THEIRS}


def test_names_of_machines_are_not_read_from_a_link(tmp_path: Path, victim: Path) -> None:
    """The link is reported as damaged, and its target is not read."""
    (victim / "key").write_text('{"machine-1": "labbox"}')
    link(tmp_path / machines.NAMES, victim / "key")
    with pytest.raises(ResultsError, match="is damaged"):
        machines.names(tmp_path)


def test_a_proof_that_is_a_fifo_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read of the FIFO would block forever."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    consent.prove(tmp_path, ["shop:work"])
    (tmp_path / consent.PROOF).unlink()
    os.mkfifo(tmp_path / consent.PROOF)
    with pytest.raises(Exception, match="contains no proof"):
        consent.check(tmp_path, ["shop:work"], "shop:work", "lab bench")


@pytest.mark.defect
def test_the_traceback_of_a_defect_replaces_a_link(tmp_path: Path, victim: Path) -> None:
    """A trial's folder of another user may contain any file of that name."""
    link(tmp_path / "trial" / defects.FILE, victim / "key")
    defects.describe(ZeroDivisionError(), tmp_path / "trial")
    assert "ZeroDivisionError" in (tmp_path / "trial" / defects.FILE).read_text()
    assert content(victim) == {"key": THEIRS}


def full(ending: str) -> Callable[[int], None]:
    """Return an `fsync` that fails, because the disk is full, for files of this name."""

    def fsync(descriptor: int) -> None:
        if ending in Path(f"/proc/self/fd/{descriptor}").readlink().name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return fsync


@pytest.mark.parametrize("ending", [".csv", ".svg", ".png"])
def test_a_disk_that_is_full_while_drawing_ends_the_report(
    synthetic: Tables, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page would not fit either, so the report ends."""
    monkeypatch.setattr(os, "fsync", full(f"overhead{ending}"))
    with pytest.raises(DiskError, match="is full. Free some space in .*figures"):
        page.draw_figures(synthetic, tmp_path, [FIGURES["overhead"]])
    assert not [*tmp_path.rglob(f"*{ending}*")]


@pytest.mark.parametrize("command", ["report", "publish"])
def test_a_disk_that_is_full_while_writing_the_page_is_a_sentence(
    results: Path,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The sentence has the folder and the next step, and no partial file remains."""
    run = results / "runs" / RUN
    before = (run / "report.html").read_bytes()
    monkeypatch.setattr(os, "fsync", full("report.html"))
    assert main([command, str(run)]) == ExitCode.MACHINE_FAILED
    message = " ".join(capsys.readouterr().err.split())
    assert "the disk or its quota is full. Free some space in " in message
    assert "report.html: the disk" in message
    assert "Then type the same command again." in message
    assert [*results.rglob("report.html*")] == [run / "report.html"]
    assert (run / "report.html").read_bytes() == before


def test_a_full_temporary_folder_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of a write has no file name, so the sentence has the folder; other errors pass."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(temp_dirs, "LONGEST", 1_000)
    with (
        pytest.raises(DiskError, match=f"{tmp_path}: the disk .* full.*TMPDIR"),
        temp_dirs.folder(),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(PermissionError), temp_dirs.folder():
        raise PermissionError(errno.EACCES, "denied")
    assert not [*tmp_path.iterdir()]


def test_no_temporary_folder_at_all_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If no candidate is writable, the sentence contains all of them."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "gone")])
    assert main(["clean"]) == ExitCode.MACHINE_FAILED
    message = " ".join(capsys.readouterr().err.split())
    assert "gone" in message
    assert "TMPDIR" in message
    assert "defect" not in message
