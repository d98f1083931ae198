"""Prints progress and messages to standard error, and tables to standard output."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table
from rich.text import Text

from lab.core.printable import printable


class Terminal(Console):
    """Prints strings, including table cells, after `printable` has replaced control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert a string for printing; rich calls this for every string."""
        return super().render_str(printable(text), **options)


PIPE_COLUMNS = 200
progress_console = Terminal(stderr=True)
# A pipe has no width, and its reader needs complete cells.
is_terminal = sys.stdout is not None and sys.stdout.isatty()  # None: the shell closed it
data_console = Terminal(width=None if is_terminal else PIPE_COLUMNS)

MINUTES_FROM_S = 90
# Ends a message: a command to copy, which no line break may divide.
COMMAND = re.compile(r"(?<=: )(?:lab|nox) .*$")


Item = TypeVar("Item")


def counted(title: str, items: Iterable[Item], total: int) -> Iterable[Item]:
    """Yield the items, and show their number so far and the estimated remaining time."""
    return track(items, title, total=total, console=progress_console, transient=True)


def duration(seconds: float) -> str:
    """Format a duration: in seconds up to `MINUTES_FROM_S`, otherwise as H:MM:SS."""
    return (
        f"{seconds:.0f} s" if seconds < MINUTES_FROM_S else str(timedelta(seconds=round(seconds)))
    )


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table to standard output; cells may contain any text."""
    # As a line of its own: rich would break the title of a narrow table in the width of the table.
    show_line(title)
    table = Table(padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(escape(column), overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    data_console.print(table)


def show_texts(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print names, each with a text beside it.

    A terminal breaks a text between words. A name that is longer than a third of its width moves
    the first line of its text.
    """
    column = min(max(len(name) for name, _ in rows), data_console.width // 3)
    show_line(title)
    for name, text in rows:
        show_line(f"  {name:{column}}  {text}", hang=column + 2)


def shortened(text: str, width: int) -> str:
    """Cut a text to `width` letters; the last one is an ellipsis."""
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"


def _width(cells: Collection[int]) -> int:
    """Return the width of a table: each cell has a space and a border."""
    return sum(cells) + 2 * len(cells) + 1


def show_numbers(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], least: Sequence[str] = ()
) -> None:
    """Print a table of numbers, which must not be broken into lines.

    Columns are left out until it fits: first those with the same text in every row, then those of
    `least`, then from the right. The first two columns, which say what a row is, remain unless
    the second is the same in every row.
    """
    widths = {
        name: max(map(len, cells)) for name, *cells in zip(columns, columns, *rows, strict=True)
    }
    same = {
        name: cells[0]
        for name, *cells in zip(columns[1:], *(row[1:] for row in rows), strict=True)
        if len(cells) > 1 and len({*cells}) == 1
    }
    ordered = (*same, *(name for name in least if name in widths), *reversed(columns[2:]))
    order, left_out = [*dict.fromkeys(ordered)], list[str]()
    while order and _width(widths.values()) > data_console.width:
        left_out.append(order.pop(0))
        del widths[left_out[-1]]
    places = [place for place, name in enumerate(columns) if name in widths]
    show_table(title, [*widths], [[row[place] for place in places] for row in rows])
    if constant := [f"{name} {same[name]}" for name in left_out if same.get(name)]:
        show_line(f"The same in every row: {', '.join(constant)}.")
    if lost := [name for name in left_out if name not in same]:
        show_line(f"Columns that do not fit: {', '.join(lost)}. A wider terminal shows them.")


def show_line(text: str, hang: int = 0) -> None:
    """Print a sentence of the results to standard output.

    In a terminal, its further lines begin `hang` letters later than the first.
    """
    _print(text, data_console, hang)


def say(text: str) -> None:
    """Print a message to standard error; a terminal shows its lines broken between words."""
    _print(text, progress_console)


def _print(text: str, console: Console, hang: int = 0) -> None:
    lines = text.split("\n")
    if console.is_terminal:
        lines = [part for line in lines for part in broken(line, console.width, hang)]
    # soft_wrap: rich would break a path that is longer than the line.
    console.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)


def broken(line: str, width: int, hang: int = 0) -> list[str]:
    """Break a line between words, with the indent of its beginning and `hang` letters more.

    A command at its end, and a path, remain in one piece, to be copied.
    """
    command = COMMAND.search(line)
    # A letter that is no space, and that no message contains.
    whole = line if command is None else line[: command.start()] + command[0].replace(" ", "\0")
    indent = " " * (len(line) - len(line.lstrip()))
    parts = textwrap.wrap(
        whole,
        width,
        subsequent_indent=indent + " " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [part.replace("\0", " ") for part in parts] or [""]
