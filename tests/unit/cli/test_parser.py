"""Tests of the command line's definition: what it imports, and that every command can run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab.cli.parser import COMMANDS, module_of

SLOW_TO_IMPORT = ("matplotlib", "numpy", "pandas", "pyarrow", "scipy", "seaborn")
SHOW = """
import sys
from lab.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert stop.code == 0, stop.code
print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [("--help",), ("doctor", "--help"), ("clean", "--help")])
def test_help_imports_no_library_for_data(arguments: tuple[str, ...]) -> None:
    """The help appears at once, because analysis and drawing are imported by the commands."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *arguments], capture_output=True, text=True, check=True
    )
    modules = {name.partition(".")[0] for name in done.stderr.split()}
    assert "argparse" in modules
    assert modules.isdisjoint(SLOW_TO_IMPORT)
    assert done.stdout.startswith("usage: lab")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_module_that_runs_it(command: str) -> None:
    """A command's name is the name of its module in `lab.cli`."""
    assert callable(module_of(command).run)
