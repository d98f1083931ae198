"""Replaces private parts of texts by placeholders: names, paths, addresses and secrets.

A reason also loses its quotes: in a reason, a log line or an exception's message follows a colon,
and may contain any output of a user's program.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.core.printable import printable

# Names that many machines share identify none of them.
COMMON = {"", "localhost", "root", "nobody", "user", "runner", "local"}  # wording: allow
QUOTES = ": "
TYPE = re.compile(r"(?:\w+\.)*\w{,60}(?:Error|Exception|Exit|Interrupt|Timeout|Pool|Warning)")
FIRST_EXCEPTION = "First exception of a task"

KEY = r"[\w-]*(?:token|secret|passw(?:or)?d|api[_-]?key|credential|authori[sz]ation)[\w-]*"
CREDENTIAL = re.compile(KEY, re.IGNORECASE)
GROUP = "[0-9a-f]{1,4}"
PATTERNS = {
    # Credentials in an address: scheme://name:password@
    r"(\w+://)[^\s/@\"']*@": r"\1<credentials>@",
    rf"(?i)(\b{KEY}[\"']?\s*[:=]\s*[\"']?)(?:Bearer\s+)?[^\s\"',;]+": r"\1<secret>",
    r"(?i)\b(Bearer|Basic)\s+[\w+/=.~-]{8,}": r"\1 <secret>",
    r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b": "<address>",
    # The host of an address, except for the loopback interface.
    r"(\w+://(?:<credentials>@)?)(?!127\.|localhost\b|\[::1\]|<)[\w.-]+": r"\1<host>",
    r"(?<![\w.-])(?!127\.|0\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}(?![\w.-])": "<ip>",
    rf"(?i)(?<![\w:.])(?:{GROUP}:){{4,7}}(?:{GROUP})?(?![\w:])": "<ip>",
    rf"(?i)(?<![\w:.]){GROUP}(?::{GROUP})*::(?:{GROUP}:)*{GROUP}": "<ip>",
    # An absolute path of two parts or more; `tasks/s` and `1/2` do not match.
    r"(?<![\w.:/<>~-])~?(?:/[^\s/'\"<>:,;()\[\]{}|]+){2,}/?": "<path>",
}
RULES = [(re.compile(pattern), placeholder) for pattern, placeholder in PATTERNS.items()]
# A long run of letters and digits, such as a key. A checksum has a prefix, as in `sha256:`.
TOKEN = re.compile(r"(?<![\w:+/=-])(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Za-z])[\w+/=-]{24,}")


class Scrub:
    """Replaces private parts of texts by placeholders: this machine's names, and known patterns."""

    def __init__(self) -> None:
        places = {str(Path.cwd()): "<folder>", tempfile.gettempdir(): "<tmp>", _home(): "<home>"}
        # The longest first, because the folder may be in the user's home.
        self._places = [
            (re.compile(rf"{re.escape(place)}(?:/[^\s'\"<>:,;()]*)?"), placeholder)
            for place, placeholder in sorted(places.items(), key=lambda item: -len(item[0]))
            if len(place) > 1
        ]
        self._names = [
            (re.compile(rf"(?i)(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"), placeholder)
            for name, placeholder in _names()
            if name.casefold() not in COMMON
        ]

    def text(self, text: str, *, has_checksums: bool = False) -> str:
        """Return the text with placeholders, on one line, without control characters.

        With `has_checksums`, long runs of letters and digits stay.
        """
        for pattern, placeholder in (*self._places, *RULES, *self._names):
            text = pattern.sub(placeholder, text)
        return printable(text if has_checksums else TOKEN.sub("<token>", text), keep="")

    def settings(self, text: str) -> str:
        """Scrub every text in a JSON object, and each value whose key names a secret."""
        try:
            return json.dumps(self._value("", json.loads(text)), sort_keys=True)
        except (ValueError, RecursionError):
            return self.text(text)

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.text(name): self._value(name, inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._value(key, inner) for inner in value]
        if isinstance(value, str):
            return "<secret>" if CREDENTIAL.fullmatch(key) and value else self.text(value)
        return value

    def reason(self, reason: str) -> str:
        """Return the lab's part of a reason, without quotes; the types of exceptions stay."""
        statement, *quotes = reason.split(QUOTES)
        parts = [statement, *(quote for quote in quotes[:1] if TYPE.fullmatch(quote))]
        first = reason.rpartition(f"{FIRST_EXCEPTION}{QUOTES}")[2].partition(QUOTES)[0]
        names_exception = FIRST_EXCEPTION in reason and FIRST_EXCEPTION not in statement
        if names_exception and TYPE.fullmatch(first):
            parts.append(f"(quote left out). {FIRST_EXCEPTION}{QUOTES}{first}")
        elif len(quotes) > len(parts) - 1:
            parts.append("(quote left out).")
        return self.text(" ".join(parts))


def _home() -> str:
    return os.path.expanduser("~")  # noqa: PTH111 (Path.home raises without a home; this returns "~")


def _names() -> Iterator[tuple[str, str]]:
    for host in {socket.gethostname(), platform.node()}:
        yield from ((name, "<host>") for name in {host, host.partition(".")[0]})
    yield Path(_home()).name, "<user>"
    try:
        yield getpass.getuser(), "<user>"
    except (KeyError, OSError):  # the user id has no name
        return
