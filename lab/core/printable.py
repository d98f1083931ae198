"""Makes text from files, logs, exceptions and user functions safe to show in a terminal.

Control characters, such as the first of an escape sequence, and marks that change the direction of
text are replaced by their codes, so that a reader sees them and a terminal ignores them.
"""

from __future__ import annotations

import unicodedata

# Unicode categories: control, format (direction, no width), surrogate, private use, unassigned,
# line and paragraph separators.
REFUSED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
LONGEST = 300


def printable(text: str, keep: str = "\n") -> str:
    """Return `text` with each unprintable character that is not in `keep` replaced by its code."""
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
