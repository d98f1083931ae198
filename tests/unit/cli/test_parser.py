"""Tests of the command line: what it imports, what it suggests, and what a shell completes."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from lab.cli.parser import COMMANDS, DISTRIBUTION, module_of, parse, parser
from lab.core.errors import UnknownNameError, UsageError

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
# All of the lab that `lab --help` needs.
OF_HELP = {
    *("lab", "lab.cli", "lab.cli.examples", "lab.cli.main", "lab.cli.parser"),
    *("lab.core", "lab.core.errors", "lab.core.installing"),
    *("lab.host", "lab.host.interrupts"),
}


def modules_after(*arguments: str) -> tuple[set[str], str]:
    """Run the command line in a process; return the modules that it imported, and its output."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split()), done.stdout


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_short_answer_imports_the_standard_library_only(option: str) -> None:
    """The answer appears at once, because everything else is imported when it is needed."""
    modules, _ = modules_after(option)
    assert {name for name in modules if name.partition(".")[0] == "lab"} == OF_HELP
    assert modules.isdisjoint(("argcomplete", "psutil", "rich", *SLOW_TO_IMPORT))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_imports_no_library_for_data(command: str) -> None:
    """Analysis and drawing are imported by the commands, or for the examples of one of them."""
    modules, shown = modules_after(command, "--help")
    assert {name.partition(".")[0] for name in modules}.isdisjoint(SLOW_TO_IMPORT)
    assert shown.startswith(f"usage: lab {command}")


def test_the_version_is_that_of_the_package() -> None:
    """`lab --version` prints the version of the installed distribution."""
    assert modules_after("--version")[1] == f"lab {version(DISTRIBUTION)}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_module_that_runs_it(command: str) -> None:
    """A command's name is the name of its module in `lab.cli`."""
    assert callable(module_of(command).run)


def test_the_arguments_of_a_command_are_added_once() -> None:
    """Help and parsing may both come first; a second addition would be a conflict."""
    _, commands = parser()
    for command in commands.values():
        assert command.format_help() == command.format_help()
    assert commands["bench"].parse_known_args(["--dry-run"])[0].dry_run


@pytest.mark.parametrize(
    ("line", "suggestion"),
    [
        ("benhc", "Unknown command 'benhc'. Did you mean 'bench'?"),
        ("bench --bakend rq", "Unknown option of lab bench '--bakend'. Did you mean '--backend'"),
        (
            "compare a b --paris=3",
            "Unknown option of lab compare '--paris'. Did you mean '--pairs'",
        ),
    ],
)
def test_a_mistyped_name_is_suggested(line: str, suggestion: str) -> None:
    """The message also lists every known name."""
    with pytest.raises(UnknownNameError) as caught:
        parse(line.split())
    assert str(caught.value).startswith(suggestion)


def test_an_option_cannot_be_abbreviated() -> None:
    """`--result PATH` was accepted, and the private path stayed in the published command."""
    with pytest.raises(UnknownNameError, match="Did you mean '--results'"):
        parse(["bench", "--result", "private"])


def test_a_word_too_many_names_the_help() -> None:
    """A backend without its option is a common slip."""
    with pytest.raises(UsageError, match=r"does not take 'rq'. See: lab bench --help"):
        parse(["bench", "rq"])


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("lab ben", "bench"),
        ("lab bench --bac", "--backend"),
        ("lab bench --backend apsch", "apscheduler"),
        ("lab bench --workload late", "latency"),
        ("lab bench --provider comp", "compose"),
        ("lab compare --thr", "--threshold"),
    ],
)
def test_a_shell_completes_names(line: str, word: str, tmp_path: Path) -> None:
    """A shell asks by variables, as argcomplete defines them; no library for data is imported."""
    out = tmp_path / "completions"
    variables = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    program = "from lab.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert word in [text.strip() for text in out.read_text().splitlines()]
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argcomplete" in modules
    assert modules.isdisjoint(SLOW_TO_IMPORT)


def test_global_completion_finds_the_marker() -> None:
    """The global completion of argcomplete looks for it in the module of the command."""
    main = Path(str(module_of("main").__file__))
    assert "PYTHON_ARGCOMPLETE_OK" in main.read_text(encoding="utf-8")[:1024]


def test_a_dry_run_imports_no_library_that_draws() -> None:
    """The plan appears at once: figures are for the end of a run."""
    words = ["bench", "--dry-run", "--provider", "local", "-b", "thread-pool", "-w", "noop"]
    modules, shown = modules_after(*words)
    assert "Nothing was run." in shown
    assert modules.isdisjoint(("matplotlib", "seaborn"))
