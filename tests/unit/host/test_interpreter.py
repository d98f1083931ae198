"""Tests the facts of an interpreter and of its packages."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

from lab.host import interpreter


def test_any_interpreter_prints_its_facts() -> None:
    """In a process of its own, as JSON: key, value, and whether it identifies the interpreter."""
    done = subprocess.run(
        [sys.executable, "-m", interpreter.__name__], capture_output=True, text=True, check=True
    )
    facts = {key: (value, is_stable) for key, value, is_stable in json.loads(done.stdout)}
    assert facts["package.celery"] == (version("celery"), True)
    assert facts["python.version"][1] is True
    assert facts["python.gil"] == (1, True)


def test_the_hash_of_a_package_does_not_depend_on_its_folder() -> None:
    """Scripts, compiled modules and the address of a checkout differ between installations."""
    for line in ("../../../bin/celery,sha256=1,2", "celery/__pycache__/a.cpython-311.pyc,,"):
        assert interpreter.OF_INSTALLATION.match(line)
    assert interpreter.OF_INSTALLATION.match("celery-5.5.3.dist-info/direct_url.json,sha256=1,2")
    assert not interpreter.OF_INSTALLATION.match("celery-5.5.3.dist-info/METADATA,sha256=1,2")
    assert not interpreter.OF_INSTALLATION.match("celery/app.py,sha256=1,2")
