"""Tests colours, markers and names: distinct, readable, and as short as is unambiguous."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from lab.analysis.labels import identify
from lab.analysis.queries import workload_names
from lab.figures.theme import FAMILY_COLOURS, SPARE_COLOURS, colour_of
from tests.factories.campaigns import Campaign, trials_of
from tests.factories.colours import VISION, contrast, distance


@pytest.fixture(scope="module")
def trials() -> pd.DataFrame:
    """Return one block of every synthetic backend."""
    return pd.DataFrame(trials_of(Campaign(blocks=1)))


@pytest.mark.parametrize("vision", VISION)
def test_colours_of_families_are_distinguishable(vision: str) -> None:
    """No two families have colours that look equal with this vision."""
    distances = {
        (one, other): distance(FAMILY_COLOURS[one], FAMILY_COLOURS[other], vision)
        for one, other in itertools.combinations(FAMILY_COLOURS, 2)
    }
    assert {pair: d for pair, d in distances.items() if d < 0.07} == {}


def test_every_colour_contrasts_with_white() -> None:
    """The contrast is at least 2 (formula of WCAG)."""
    colours = [*FAMILY_COLOURS.values(), *SPARE_COLOURS]
    assert {colour for colour in colours if contrast(colour, "#ffffff") < 2} == set()


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
