"""Embeds an SVG of matplotlib in the page: with about half of its bytes, and the same look.

The file for papers stays as matplotlib writes it, with the names of elements that help to edit it.
"""

from __future__ import annotations

import re
from urllib.parse import quote

# Characters that a data URI in double quotes may contain, beside letters, digits and "_.-~".
PLAIN = " <>='/:;,()!*@$+?[]{}|"
SWAPPED = str.maketrans("\"'", "'\"")

IGNORED = re.compile(r"<!--.*?-->|<!DOCTYPE[^>]*>", re.DOTALL)
BETWEEN_TAGS = re.compile(r"(?<=>)\s+(?=<)")
PATH = re.compile(r'(?<= d=")[^"]*')
COMMAND = re.compile(r"\s*([A-Za-z])\s*")
# Without `scale(...)` of a text, which is no coordinate.
COORDINATES = re.compile(r' (?:d|x|y)="[^"]*"|translate\([^)]*\)')
LONG = re.compile(r"-?\d+\.\d{3,}")
# A group of marks that have the same style, and the style.
MARKS = re.compile(
    r'(<g clip-path="[^"]*")>((?:<use [^>]*? style="([^"]*)"/>)(?:<use [^>]*? style="\3"/>)*)</g>'
)
ID = re.compile(r' id="([^"]*)"')
REFERENCE = re.compile(r'(?<=href="#)[^"]*|(?<=url\(#)[^)]*')


def data_uri(svg: str) -> str:
    """Return a picture as a data URI for an attribute in double quotes.

    It is text, because base64 would add a third. Coordinates have two decimals: a hundredth of a
    point.
    """
    svg = BETWEEN_TAGS.sub("", IGNORED.sub("", svg))
    svg = PATH.sub(lambda path: COMMAND.sub(r"\1", path[0].strip()), svg)
    svg = COORDINATES.sub(lambda part: LONG.sub(_rounded, part[0]), svg)
    svg = _with_short_ids(MARKS.sub(_with_one_style, svg))
    return f"data:image/svg+xml,{quote(svg.translate(SWAPPED), safe=PLAIN)}"


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _with_one_style(group: re.Match[str]) -> str:
    """Move the style of marks to their group, from which they inherit it."""
    style = f' style="{group[3]}"'
    return f"{group[1]}{style}>{group[2].replace(style, '')}</g>"


def _with_short_ids(svg: str) -> str:
    """Shorten the ids, and drop those that nothing refers to.

    An image has ids of its own, so they need to differ within one picture only.
    """
    names = dict.fromkeys(REFERENCE.findall(svg))
    short = {name: f"i{number}" for number, name in enumerate(names)}
    svg = ID.sub(lambda part: f' id="{short[part[1]]}"' if part[1] in short else "", svg)
    # `href` needs no namespace since SVG 2, which every browser reads.
    return REFERENCE.sub(lambda part: short[part[0]], svg).replace("xlink:href", "href")
