"""Finds other interpreters on the path, and runs programs in them with the lab's code."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
FREE_THREADED = ("python3.14t", "python3.13t")


def interpreter(*names: str) -> str:
    """Return the path of the first interpreter on the path; fail the test if there is none."""
    path = next(filter(None, map(shutil.which, names)), None)
    assert path, f"{' or '.join(names)} is not on the path; run: sudo .ci/ensure-pythons.sh"
    return path


def run_code(python: str, code: str, environment: Mapping[str, str]) -> str:
    """Run a program that may import the lab, and return its output."""
    done = subprocess.run(
        [python, "-X", "dev", "-c", code],
        # Without PYTHON_GIL and other variables of the tests.
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
