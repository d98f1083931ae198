"""What a person sees: progress on standard error, tables on standard output."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table
from rich.text import Text

from lab.core.printable import printable


class Terminal(Console):
    """Passes each string, cells of tables among them, through `printable` before it is shown."""

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make rich's text of a string: everything that is printed passes here."""
        return super().render_str(printable(text), **options)


PIPE_COLUMNS = 200
progress_console = Terminal(stderr=True)
# A pipe has no width: what reads it wants whole cells.
is_terminal = sys.stdout is not None and sys.stdout.isatty()  # None: the shell closed it
data_console = Terminal(width=None if is_terminal else PIPE_COLUMNS)

MINUTES_FROM_S = 90


Item = TypeVar("Item")


def counted(what: str, items: Iterable[Item], total: int) -> Iterable[Item]:
    """Pass the items on, and show how many there were and how long the rest will take."""
    return track(items, what, total=total, console=progress_console, transient=True)


def duration(seconds: float) -> str:
    """Write a length of time as a person says it."""
    return (
        f"{seconds:.0f} s" if seconds < MINUTES_FROM_S else str(timedelta(seconds=round(seconds)))
    )


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table to standard output; cells are shown as they are."""
    table = Table(title=escape(title), title_justify="left", padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(escape(column), overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    data_console.print(table)


def show_line(text: str) -> None:
    """Print a sentence of the results to standard output."""
    data_console.print(text, highlight=False, soft_wrap=True, markup=False)


def print_any_text() -> None:
    """Write what the terminal's encoding lacks as escapes, instead of failing at it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print a line that is not data."""
    progress_console.print(text, highlight=False, soft_wrap=True, markup=False)
