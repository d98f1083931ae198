"""Tests jobs in the crontab: they run at the minute, and only the lab's lines are removed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.core.backend import services_of
from lab.core.errors import ClusterError
from lab.core.model import Periodic, Service
from lab.host import child_environment, processes
from lab.planning.compatibility import unsupported_reason
from lab.planning.registry import select
from lab.providers import crontab
from lab.providers.local import LocalCluster
from tests.cluster.containers import left_of
from tests.factories.trials import run, spec_of

MINUTELY = Periodic(2, 1, cron="* * * * *")
DJANGO_NS = 100_000_000  # a start of Django takes several times as long
# A stand-in for the program `crontab` that uses a file of the test.
CRONTAB = """#!/bin/sh
case $1 in
-l) cat {file} 2>/dev/null || {{ echo no crontab for you >&2; exit 1; }} ;;
-r) rm {file} ;;
-) cat > {file} ;;
esac
"""
KILLED = """
from pathlib import Path
from tests.unit.providers.test_crontab import MINUTELY
from tests.factories.trials import run, spec_of
run(Path({folder!r}), spec_of("django-crontab", arrival=MINUTELY, warmup_tasks=0))
"""
THEIRS = "# mine\nMAILTO=me\n0 3 * * * backup # LAB_OWNER= but not quite\n\n"


def line(owner: str, trial: str = "t-1") -> str:
    """Return a crontab line in the format of django-crontab."""
    return (
        f"* * * * * . x && python manage.py crontab run 1 # LAB_OWNER={owner} LAB_TRIAL={trial}\n"
    )


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in for `crontab` on the path; return the file with its lines."""
    program = tmp_path / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(CRONTAB.format(file=tmp_path / "lines"))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path / "lines"


def test_clean_removes_only_the_lines_of_ended_labs(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lab of another boot has ended. All other lines stay byte for byte."""
    here, mine = processes.realm(), line(processes.owner())
    dead = line(f"{here}:999999999:1.00") + line("another-boot/1:1:1.00")
    file.write_text(f"{THEIRS}{dead}{mine}@daily theirs")
    assert main(["clean"]) == 0
    assert "2 crontab lines of killed labs removed." in capsys.readouterr().err
    assert file.read_text() == f"{THEIRS}{mine}@daily theirs"
    assert crontab.remove_dead() == 0


def test_clean_keeps_lines_in_any_encoding(file: Path) -> None:
    """Latin-1, carriage returns and form feeds are not changed."""
    theirs = b"# caf\xe9 \x0c \xc2\x85 of theirs\r\n0 3 * * * backup\r\n"
    file.write_bytes(theirs + line(f"{processes.realm()}:999999999:1.00").encode() + b"\xff")
    assert main(["clean"]) == 0
    assert file.read_bytes() == theirs + b"\xff"


def test_remove_trial_removes_only_the_lines_of_that_trial(file: Path) -> None:
    """When no line remains, the crontab itself is removed."""
    other = line(processes.owner(), "t-2")
    file.write_text(line(processes.owner()) + other)
    assert crontab.remove_trial("t-1") == 1
    assert file.read_text() == other
    assert crontab.remove_trial("t-2") == 1
    assert not file.exists()
    assert crontab.remove_trial("t-2") == 0


def test_without_cron_its_backend_is_skipped_with_the_command_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both the program `crontab` and the daemon may be missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="No cron is installed here. Run: sudo apt install cron"):
        crontab.find_crontab()
    assert crontab.remove_dead() == 0
    offered = LocalCluster.offered()
    assert Service.CRON not in offered
    assert Service.REDIS in offered
    reason = unsupported_reason(spec_of("django-crontab", arrival=MINUTELY), offered)
    assert reason == (
        "The system needs cron, which provider local lacks. "
        "Run: sudo apt install cron; sudo service cron start"
    )


@pytest.mark.usefixtures("file")
def test_find_rejects_a_cron_daemon_that_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pid file remains, but no process has that pid."""
    monkeypatch.setattr(crontab, "PID_FILE", tmp_path / "pid")
    (tmp_path / "pid").write_text("999999999\n")
    with pytest.raises(ClusterError, match="No cron runs here. Run: sudo service cron start"):
        crontab.find_crontab()
    assert Service.CRON in services_of(select("django-crontab").backend, "cron")


def lines() -> str:
    """Return the crontab of the user who runs the tests."""
    done = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False)
    return done.stdout


@pytest.mark.cluster
@pytest.mark.usefixtures("containers")
def test_cron_runs_every_job_at_the_minute(tmp_path: Path) -> None:
    """Both providers run at once, so that they wait for the same minute."""
    before = lines()
    specs = [
        spec_of("django-crontab", arrival=MINUTELY, warmup_tasks=0, provider=provider)
        for provider in ("local", "compose")
    ]
    with ThreadPoolExecutor() as pool:
        for result in pool.map(lambda spec: run(tmp_path, spec), specs):
            row, occurrences = result.row, result.tables["firing"]
            assert (row.status, row.reason) == ("ok", "")
            assert (row.n_sent, row.n_done, row.n_unexpected, row.n_failed) == (2, 2, 0, 0)
            assert row.services.startswith("cron 3.0")
            assert list(occurrences.outcome) == ["fired", "fired"]
            assert (occurrences.error_ns >= 0).all()
            # Each job starts a Django. That counts as work of the backend, not as a disturbance.
            used_ns = {"local": row.cpu_workers_ns, "compose": row.cpu_services_ns}[row.provider]
            assert used_ns is not None
            assert used_ns > DJANGO_NS
    assert lines() == before
    assert left_of(os.getpid()) == []


@pytest.mark.slow
@pytest.mark.alone(beside="calm")  # each starting lab removes such lines as well
def test_clean_removes_the_lines_of_a_killed_lab(tmp_path: Path) -> None:
    """The lines name their lab, which has ended."""
    before = lines()
    code = KILLED.format(folder=str(tmp_path))
    lab = subprocess.Popen([sys.executable, "-c", code], env=child_environment.of_process())
    deadline = time.monotonic() + 30
    while f":{lab.pid}:" not in lines():
        assert time.monotonic() < deadline, "no line was added"
        time.sleep(0.05)
    lab.kill()
    lab.wait()
    assert lines() != before
    assert main(["clean"]) == 0
    assert lines() == before
