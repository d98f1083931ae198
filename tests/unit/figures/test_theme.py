"""Tests colours, markers and names: distinct, readable, and as short as is unambiguous."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from lab.analysis.labels import identify
from lab.analysis.queries import workload_names
from lab.figures.theme import FAMILY_COLOURS, SPARE_COLOURS, colour_of
from tests.factories.campaigns import Campaign, trials_of

# Simulation of dichromats on linear RGB (Machado, Oliveira and Fernandes 2009, severity 1.0).
VISION = {
    "trichromat": np.eye(3),
    "protanope": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranope": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
# Ottosson's OKLab: linear RGB to cone responses, their cube roots to lightness and two hues.
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(colour: str) -> np.ndarray:
    """Convert an sRGB colour to linear RGB."""
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def seen(colour: str, vision: str) -> np.ndarray:
    """Return a colour in OKLab, in which equal distances look equally different."""
    light = np.clip(VISION[vision] @ linear(colour), 0, 1)
    return np.asarray(TO_LAB @ np.cbrt(TO_CONES @ light))


@pytest.fixture(scope="module")
def trials() -> pd.DataFrame:
    """Return one block of every synthetic backend."""
    return pd.DataFrame(trials_of(Campaign(blocks=1)))


@pytest.mark.parametrize("vision", VISION)
def test_colours_of_families_are_distinguishable(vision: str) -> None:
    """No two families have colours that look equal with this vision."""
    distances = {
        pair: float(np.linalg.norm(seen(colours[0], vision) - seen(colours[1], vision)))
        for pair in itertools.combinations(FAMILY_COLOURS, 2)
        for colours in [[FAMILY_COLOURS[family] for family in pair]]
    }
    assert {pair: d for pair, d in distances.items() if d < 0.07} == {}


def test_every_colour_contrasts_with_white() -> None:
    """The contrast is at least 2 (formula of WCAG)."""
    colours = [*FAMILY_COLOURS.values(), *SPARE_COLOURS]
    light = {colour: linear(colour) @ [0.2126, 0.7152, 0.0722] for colour in colours}
    assert {colour for colour, share in light.items() if 1.05 / (share + 0.05) < 2} == set()


def test_an_unknown_family_has_a_fixed_colour() -> None:
    """Its colour depends only on its name, and differs from those of known families."""
    assert colour_of("huey") == colour_of("huey") in SPARE_COLOURS
    assert not set(SPARE_COLOURS) & set(FAMILY_COLOURS.values())


def test_markers_differ_within_a_family(trials: pd.DataFrame) -> None:
    """Colour and marker together identify a label."""
    looks = identify(trials)
    assert not looks.duplicated(["family", "marker"]).any()


def test_names_omit_only_common_parts(trials: pd.DataFrame) -> None:
    """The variant is omitted if a backend has one, the profile if all are default."""
    names = identify(trials).set_index("label")["name"]
    assert names["inline[call]@default"] == "inline"
    assert names["rq[worker]@default"] == "rq[worker]"
    safe = trials.assign(profile="safe", label=trials["label"].str.replace("default", "safe"))
    both = identify(pd.concat([trials, safe]))["name"]
    assert both.is_unique
    assert {"inline@default", "rq[worker]@safe"} < set(both)


def test_a_workload_with_several_sizes_is_named_with_its_size(trials: pd.DataFrame) -> None:
    """Two sizes of a workload have different names."""
    payload = trials.head(2).assign(workload="payload", size=[1, 1024], size_unit="B", nominal_ns=0)
    assert list(workload_names(payload)) == ["payload 1 B", "payload 1,024 B"]
