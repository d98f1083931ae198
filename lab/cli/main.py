"""Runs the command `lab`: parses its arguments, and turns every exception into a message."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.cli.parser import module_of, parser
from lab.console import print_any_text, say
from lab.core.defects import last_words
from lab.core.errors import ExitCode, LabError, UsageError
from lab.host import interrupts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its `ExitCode`; an exception becomes a one-line message."""
    interrupts.install()
    print_any_text()
    try:
        _require_folder()
        options = parser().parse_args(arguments)
        options.words = sys.argv[1:] if arguments is None else arguments
        return int(module_of(options.command).run(options))
    except LabError as error:
        say(f"lab: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        interrupts.ignore()
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output, such as `head`, has ended; this is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FINE
    except Exception as error:  # noqa: BLE001 (no traceback ever reaches the user)
        say(f"lab: {last_words(error)}")
        return ExitCode.MACHINE_FAILED


def _require_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError("The current folder does not exist. Change to another one.") from error
