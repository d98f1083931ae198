"""Parses the command line of `lab`, and completes it in a shell.

The options of a command are added when they are needed, so that `lab --help` imports no other room.
The module ``lab.cli.COMMAND`` is imported to run the command: its function is `run`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn

from lab.cli import examples
from lab.core.errors import EXIT_CODES, UnknownNameError, UsageError

HELP_WIDTH = 100
DISTRIBUTION = "background-task-lab"
COMMANDS = {
    "bench": "Run a campaign and write its report.",
    "claims": "Test published claims about the backends.",
    "list": "List backends, variants, profiles, workloads, presets.",
    "report": "Recompute a run's tables, figures and page.",
    "compare": "Compare two runs, commits or backends.",
    "versions": "Measure the releases of a system, and draw its cost over them.",
    "history": "Show results over commits, and their changes.",
    "publish": "Export a run as a folder to upload, or for a dashboard.",
    "reproduce": "Repeat one trial of a run.",
    "doctor": "Show what is missing on this machine, and how to fix it.",
    "env": "List or remove environments with other versions of Python and packages.",
    "clean": "Remove processes and containers of labs that were killed, and old images.",
}


class _Parser(argparse.ArgumentParser):
    """Raises `UsageError`, because `argparse` would print all options before the message."""

    def error(self, message: str) -> NoReturn:
        """Raise the message of `argparse`, with the next step."""
        raise UsageError(f"{message}. See: {self.prog} --help")


class _CommandParser(_Parser):
    """Parses one command; its arguments and its examples are added at the first use."""

    has_arguments = False

    @property
    def command(self) -> str:
        """The name of the command."""
        return self.prog.rpartition(" ")[2]

    def add_arguments(self) -> None:
        """Add the arguments of the command."""
        # Help and parsing may both come first, and argparse refuses a second addition.
        if not self.has_arguments:
            from lab.cli import arguments

            self.has_arguments = True
            arguments.add(self.command, self)

    def options(self) -> Sequence[str]:
        """Return the options of the command, such as ``--backend``."""
        self.add_arguments()
        shown = [action for action in self._actions if action.help != argparse.SUPPRESS]
        return [text for action in shown for text in action.option_strings if text[1] == "-"]

    def format_help(self) -> str:
        """Return the help text, with examples and exit codes."""
        self.add_arguments()
        # Some examples import other rooms, which only the help needs to wait for.
        self.epilog = f"{examples.of(self.command)}\n{textwrap.fill(EXIT_CODES, HELP_WIDTH)}"
        return super().format_help()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse arguments; `argparse` calls this when the command line names the command."""
        self.add_arguments()
        return super().parse_known_args(args, namespace)


# argparse's action `version` takes the text, which every command would then have to look up.
class _ShowVersion(argparse.Action):
    """Prints the version of the lab and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"lab {version(DISTRIBUTION)}\n")
        parser.exit()


def module_of(command: str) -> ModuleType:
    """Import the module that runs a command."""
    return importlib.import_module(f"lab.cli.{command}")


def parser() -> tuple[argparse.ArgumentParser, Mapping[str, _CommandParser]]:
    """Return the parser of the command line, and the parser of each command."""
    root = _Parser(
        prog="lab",
        description="Compare Python systems that run tasks in the background, under the same load.",
        epilog=f"{examples.LAB}\n{textwrap.fill(EXIT_CODES, HELP_WIDTH)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    text = "print the version of the lab and exit"
    root.add_argument("--version", action=_ShowVersion, nargs=0, dest=argparse.SUPPRESS, help=text)
    commands = root.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=_CommandParser
    )
    for name, summary in COMMANDS.items():
        commands.add_parser(
            name,
            help=summary,
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            # The published command has no private paths, which are removed by the options' names.
            allow_abbrev=False,
        )
    return root, commands.choices


def complete_in_shell() -> None:
    """Print the words that may follow, and exit, if a shell asks for a completion."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        root, commands = parser()
        # argcomplete hooks into the options that exist before it parses.
        for command in commands.values():
            command.add_arguments()
        argcomplete.autocomplete(root)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse the words of a command line; the result has the command's name as `command`.

    Raises:
        UsageError: The command or an option is unknown; the message suggests similar names.
    """
    root, commands = parser()
    command = next((word for word in words if not word.startswith("-")), "")
    # argparse would list all commands and suggest none.
    if command and command not in commands:
        raise UnknownNameError("command", command, commands)
    # `parse_args` would end the process with a message that suggests no option.
    options, unknown = root.parse_known_args(words)
    if unknown:
        name = unknown[0].partition("=")[0]
        if name.startswith("--"):
            raise UnknownNameError(f"option of lab {command}", name, commands[command].options())
        raise UsageError(f"lab {command} does not take {name!r}. See: lab {command} --help")
    return options
