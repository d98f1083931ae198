# PYTHON_ARGCOMPLETE_OK
"""Runs the command `lab`: parses its arguments, and turns every exception into a message."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.cli.parser import complete_in_shell, module_of, parse
from lab.core.errors import ExitCode, LabError, UsageError
from lab.host import interrupts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its `ExitCode`; an exception becomes a one-line message."""
    complete_in_shell()
    interrupts.install()
    _print_any_text()
    try:
        _require_folder()
        words = sys.argv[1:] if arguments is None else arguments
        options = parse(words)
        options.words = words
        return int(module_of(options.command).run(options))
    except LabError as error:
        _say(error)
        return error.exit_code
    except KeyboardInterrupt:
        interrupts.ignore()
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output, such as `head`, has ended; this is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FINE
    except Exception as error:  # noqa: BLE001 (no traceback ever reaches the user)
        from lab.core.defects import crash_message

        _say(crash_message(error))
        return ExitCode.MACHINE_FAILED


def _print_any_text() -> None:
    """Make output streams escape characters that their encoding lacks, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(message: object) -> None:
    from lab.console import say  # rich, which most calls of `--help` and completion do not need

    say(f"lab: {message}")


def _require_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError("The current folder does not exist. Change to another one.") from error
