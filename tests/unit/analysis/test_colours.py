"""Tests colours and markers: unique for each system, and readable with any colour vision."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from lab.analysis.colours import FAMILY_COLOURS, SPARE_COLOURS, colour_of, dark_colour_of
from lab.analysis.labels import identify
from lab.planning import registry
from tests.factories.colours import VISION, contrast, distance

# The colours of cards on the page, light and dark (lab/report/page.html.j2).
BACKGROUNDS = ("#ffffff", "#1b1f24")
PALETTE = [*FAMILY_COLOURS.values(), *SPARE_COLOURS]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_no_two_colours_look_equal(vision: str, mode: int) -> None:
    """Families of other packages included, for people without one kind of cones, too."""
    colours = [pair[mode] for pair in PALETTE]
    distances = {
        (one, other): distance(one, other, vision)
        for one, other in itertools.combinations(colours, 2)
    }
    assert {pair: d for pair, d in distances.items() if d < 0.07} == {}


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_every_colour_contrasts_with_its_background(mode: int) -> None:
    """The contrast is at least 2 (formula of WCAG)."""
    colours = [pair[mode] for pair in PALETTE]
    assert {c for c in colours if contrast(c, BACKGROUNDS[mode]) < 2} == set()


def test_an_unknown_family_has_a_fixed_colour() -> None:
    """Its colours depend only on its name."""
    assert (colour_of("arq"), dark_colour_of("arq")) in SPARE_COLOURS
    assert colour_of("arq") == colour_of("arq")


def test_each_system_has_its_own_colour_and_marker() -> None:
    """Also four systems of other packages, whose families share three colours."""
    foreign = [(name, name, "default") for name in ("arq", "saq", "streaq", "wakaq")]
    systems = [
        (name, backend.family, variant.name)
        for name, backend in registry.backends().items()
        if backend.family != "reference"
        for variant in backend.variants
    ]
    rows = pd.DataFrame([*systems, *foreign], columns=["backend", "family", "variant"])
    rows = rows.assign(profile="default")
    looks = identify(rows.assign(label=rows["backend"] + "[" + rows["variant"] + "]@default"))
    looks = looks.assign(colour=looks["family"].map(colour_of))
    assert len({colour_of(name) for name, _, _ in foreign}) < len(foreign)
    assert looks[looks.duplicated(["colour", "marker"], keep=False)].empty
