"""The dependency audit of `nox -s lint` never passes on data that it did not have."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SPEC = importlib.util.spec_from_file_location("audit", Path(__file__).parents[1] / ".ci/audit.py")
assert SPEC
assert SPEC.loader
audit = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(audit)

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
    assert "amqp 5.4.2 has the known vulnerability PYSEC-2026-1; mended in 5.4.3." in words


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
