"""Tests that systems in several environments are separate rows and lines."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from lab.analysis.contracts import UNKNOWN, contract_of
from lab.analysis.environments import LabelledByEnvironment, environment_of, label_of
from lab.analysis.labels import identify
from lab.figures import FIGURES, Tables
from lab.planning import registry
from lab.report import resources, scaling
from lab.report.features import features_of
from lab.report.summary import summary
from tests.factories.campaigns import SYSTEMS, Campaign, campaign
from tests.factories.environments import in_environments
from tests.factories.resources import with_upkeep

ENVIRONMENTS = ("3.13", "3.14t")
RQ = "rq[worker]@default"


@pytest.fixture(scope="module")
def plain() -> Tables:
    """Return a campaign of two systems on one and two cores."""
    small = Campaign(tuple(s for s in SYSTEMS if s.variant in {"executor", "worker"}))
    return with_upkeep(campaign(small))


@pytest.fixture(scope="module")
def tables(plain: Tables) -> Tables:
    """Return the same campaign in two environments."""
    return LabelledByEnvironment(in_environments(plain, *ENVIRONMENTS))


def test_a_label_ends_with_its_environment(tables: Tables) -> None:
    """The name has the environment too; what the command line accepts is the label alone."""
    trials = tables["trial"]
    labels = {f"{RQ} {environment}" for environment in ENVIRONMENTS}
    assert labels < {*trials["label"]}
    assert {"rq 3.13", "rq 3.14t"} < {*identify(trials)["name"]}
    assert registry.select(label_of(f"{RQ} 3.13")).label == RQ
    assert features_of(f"{RQ} 3.13").redis
    assert contract_of(f"{RQ} 3.13") == contract_of(RQ) != UNKNOWN


def test_the_reference_has_the_environment_of_its_system() -> None:
    """The reference of a reference is an empty text."""
    rows = [(RQ, "raw-redis[one-by-one]@default", "3.13"), ("inline[call]@default", "", "3.13")]
    trials = pd.DataFrame(rows, columns=["label", "reference", "environment"])
    (labelled, reference) = LabelledByEnvironment({"trial": trials})["trial"]["reference"]
    assert environment_of(labelled) == "3.13"
    assert reference == ""


def test_tables_without_environments_are_the_same_objects(plain: Tables) -> None:
    """So their pages and figures cannot change."""
    labelled = LabelledByEnvironment(plain)
    assert all(labelled[name] is plain[name] for name in ("trial", "estimate", "trend"))


@pytest.mark.parametrize(
    "rows",
    [
        lambda tables: [
            (row.name, row.workload, row.topology, row.rate) for row in summary(tables)
        ],
        lambda tables: [
            (row.name, row.workload, row.cores_x_nodes) for row in resources.resource_rows(tables)
        ],
    ],
    ids=["summary", "memory"],
)
def test_a_row_is_distinct_from_that_of_another_environment(
    rows: Callable[[Tables], list[tuple[str, ...]]], plain: Tables, tables: Tables
) -> None:
    """A table has each row once for each environment, each with its own name."""
    named = rows(tables)
    assert named
    assert len(named) == len({*named}) == len(ENVIRONMENTS) * len(rows(plain))


def test_a_line_of_scaling_has_one_environment(plain: Tables, tables: Tables) -> None:
    """Its points are as many as those of a run in one environment."""
    chart = FIGURES["scaling"]
    points = chart.data(tables)
    assert len(points) == len(ENVIRONMENTS) * len(chart.data(plain))
    assert {"rq 3.13", "rq 3.14t"} < {*points["name"]}
    steps = [(step.label, step.at) for line in scaling.scaling_lines(tables) for step in line.steps]
    assert len(steps) == len({*steps}) * len(scaling.scaling_lines(tables))
