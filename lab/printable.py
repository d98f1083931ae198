"""Makes text from files, logs, exceptions and user functions safe to show in a terminal.

A control character, an escape sequence's first among them, or a mark that changes the direction of
text is shown as its code: a reader sees that it is there, and a terminal does nothing.
"""

from __future__ import annotations

import unicodedata

# Control, format (direction, no width), surrogate, private, unassigned; ends of lines, paragraphs.
REFUSED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
LONGEST = 300


def printable(text: str, keep: str = "\n") -> str:
    """Return `text` with each character that does not print as its code; those of `keep` stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character in keep or _prints(character) else _code(character)
        for character in text
    )


def one_line(text: object, longest: int = LONGEST) -> str:
    """Return `text` as one printable line of at most `longest` characters."""
    line = printable(" ".join(str(text).split()), keep="")
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _prints(character: str) -> bool:
    return unicodedata.category(character) not in REFUSED


def _code(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
