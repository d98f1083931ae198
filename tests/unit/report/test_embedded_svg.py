"""Tests the pictures in the page: smaller than their files, with every mark and text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping
from urllib.parse import unquote

import pytest

from lab.figures import Picture
from lab.report.embedded_svg import data_uri

SVG = "{http://www.w3.org/2000/svg}"
SHAPES = {f"{SVG}{name}" for name in ("path", "use", "rect", "text")}
NAMES = ("scaling", "memory", "overhead", "waits")


def element_of(uri: str) -> ET.Element:
    """Return the root of the picture in a data URI."""
    kind, _, data = uri.partition(",")
    assert kind == "data:image/svg+xml"
    return ET.fromstring(unquote(data))  # noqa: S314 (drawn by the lab)


def numbers(root: ET.Element) -> list[float]:
    """Return the coordinates of all paths and marks, in their order."""
    texts = [e.get(name, "") for e in root.iter() for name in ("d", "x", "y")]
    return [float(text) for text in re.findall(r"-?[\d.]+", " ".join(texts))]


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_smaller_and_has_the_same_shapes(
    name: str, pictures: Mapping[str, Picture]
) -> None:
    """Every shape is at its place within a hundredth of a point, and refers to an id it has."""
    file = pictures[name].stem.with_suffix(".svg").read_text(encoding="utf-8")
    uri = data_uri(file)
    before, after = ET.fromstring(file), element_of(uri)  # noqa: S314 (drawn by the lab)
    assert len(uri) < 0.8 * len(file)
    shapes = [Counter(e.tag for e in root.iter() if e.tag in SHAPES) for root in (before, after)]
    assert shapes[0] == shapes[1]
    assert numbers(after) == pytest.approx(numbers(before), abs=0.0051)
    ids = [e.get("id") for e in after.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    assert {e.get("href", "").removeprefix("#") for e in after.iter(f"{SVG}use")} <= {*ids}


def test_marks_inherit_their_style_only_if_all_have_it() -> None:
    """Other marks of the same area keep theirs."""
    one = '<g clip-path="url(#a)"><use x="1" style="fill: #0a7a55"/><use x="2" style="{}"/></g>'
    unequal = data_uri(one.format("fill: #b3261e"))
    assert unequal.count("style=") == len(("fill: #0a7a55", "fill: #b3261e"))
    moved = data_uri(one.format("fill: #0a7a55"))
    assert "<g clip-path='url(%23i0)' style='fill: %230a7a55'><use x='1'/><use x='2'/></g>" in moved


def test_a_picture_cannot_end_the_attribute_of_the_page() -> None:
    """Texts of a foreign package are in titles and comments."""
    texts = """say "it's" 5 % &amp; &lt;b&gt; \N{MICRO SIGN}"""
    uri = data_uri(f'<svg xmlns="{SVG[1:-1]}">\n <!-- " --> <title>{texts}</title></svg>')
    assert '"' not in uri
    assert "&" not in uri
    assert element_of(uri)[0].text == "say 'it\"s' 5 % & <b> \N{MICRO SIGN}"
