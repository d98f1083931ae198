"""Audit the pinned packages for known vulnerabilities, or say plainly that no audit took place.

pip-audit calls a package that its data source does not know "skipped", and ends well. Behind a
mirror that carries no such data every package is skipped, and its "No known vulnerabilities found"
would be a pass that nobody earned.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# What pip-audit prints when it cannot reach its data source at all: its own word for a connection
# that timed out, and the exceptions of `requests` that it lets through in all other cases.
UNREACHABLE = ("network may be blocking this service", "requests.exceptions.")
NO_AUDIT = "The dependency audit did NOT take place: no vulnerability data could be reached for"


def verdict(report: Mapping[str, Any]) -> tuple[int, str]:
    """Judge pip-audit's JSON report: the exit code, and the sentences that explain it."""
    packages = report["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        return 0, f"{NO_AUDIT} any of {len(packages)} pinned packages."
    found = [
        f"{package['name']} {package['version']} has the known vulnerability {flaw['id']}; "
        f"mended in {', '.join(flaw['fix_versions']) or 'no release yet'}."
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    audited = f"Audited {len(packages) - len(skipped)} of {len(packages)} pinned packages."
    missing = [f"No data on {', '.join(skipped)}: not audited."] if skipped else []
    return int(bool(found)), "\n".join([*found, audited, *missing])


def failure(lock: str, stderr: str) -> tuple[int, str]:
    """Judge a pip-audit that wrote no report: out of reach is no pass, all else is a failure."""
    if any(sign in stderr for sign in UNREACHABLE):
        return 0, f"{NO_AUDIT} {lock}."
    return 1, f"{stderr}\npip-audit could not read {lock}; its own words are above."


def main(lock: str) -> int:
    """Audit `lock`, print the verdict and return the exit code."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        pinned = ("--requirement", lock, "--require-hashes", "--disable-pip")
        told = ("--format", "json", "--output", str(report), "--progress-spinner", "off")
        command = [sys.executable, "-m", "pip_audit", *pinned, *told]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        code, words = (
            verdict(json.loads(report.read_text(encoding="utf-8")))
            if report.is_file()
            else failure(Path(lock).name, run.stderr)
        )
    print(words)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
