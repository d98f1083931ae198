"""A console of rich that shows data as text: control characters and emoji codes do nothing."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from lab.printable import printable


class Terminal(Console):
    """Passes each string, cells of tables among them, through `printable` before it is shown."""

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make rich's text of a string: everything that is printed passes here."""
        return super().render_str(printable(text), **options)
