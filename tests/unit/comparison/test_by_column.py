"""Tests the comparison of the environments of one run, block by block."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lab.analysis.statistics import RefusedError
from lab.cli.main import main
from lab.comparison import by_column
from lab.comparison.compare import Change, compare, compare_pairs
from lab.comparison.inputs import Side
from tests.factories import campaigns
from tests.unit.comparison.test_compare import NOISE, SMALL, side, tables_of

FIRST = "celery==5.5.3"


def in_environments(effect: float, blocks: int = 15) -> Side:
    """Return a run with three environments on a drifting machine; only the last costs more."""
    rng, drift = np.random.default_rng(6), np.linspace(1.0, 1.15, blocks)
    sides = [
        side("a", drift * cost * np.exp(rng.normal(0, NOISE, blocks)), "run")
        for cost in (1.0, 1.0, 1.0 + effect)
    ]
    texts = ("celery==5.9", "celery==5.10", "celery==6")
    numbers = [
        each.numbers.assign(environment=text) for each, text in zip(sides, texts, strict=True)
    ]
    return replace(sides[0], numbers=pd.concat(numbers[::-1], ignore_index=True))


def test_environments_of_one_run_are_compared_pair_by_pair() -> None:
    """In the order of versions, each with the first: 20 % are worse, equal ones a tie."""
    first, *others = by_column.values_of("environment", in_environments(0.2))
    assert [each.name for each in (first, *others)] == ["celery==5.9", "celery==5.10", "celery==6"]
    results = compare_pairs([(first, other) for other in others], by="environment")
    assert [number.change for (number,) in results] == [Change.TIE, Change.WORSE]
    assert all(number.is_paired for (number,) in results)


def test_other_columns_keep_environments_apart() -> None:
    """Two labels in two environments differ in both, so nothing of them is compared."""
    run = in_environments(0.2)
    a, b = (run.numbers[run.numbers.environment == f"celery=={n}"] for n in ("5.9", "6"))
    sides = replace(run, numbers=a), replace(run, numbers=b.assign(label="b[y]@default"))
    with pytest.raises(RefusedError, match="no usable metric in common"):
        compare(*sides, by="environment")


def test_a_checkout_is_compared_with_a_release() -> None:
    """The first side is the baseline, and the names of checkouts are hashes without an order."""
    run = in_environments(0.2)
    names = {"celery==5.9": "celery @ 1a2b", "celery==6": "celery==5.2"}
    numbers = run.numbers.assign(environment=run.numbers.environment.replace(names))
    sides = by_column.values_of("environment", replace(run, numbers=numbers))
    assert [each.name for each in sides] == ["celery==5.2", "celery==5.10", "celery @ 1a2b"]


def test_environments_are_in_the_order_of_versions() -> None:
    """A candidate is before its release, a free-threaded build after the ordinary one."""
    ordered = ["", "celery>=5", "celery==5.9", "celery==5.10rc1", "celery==5.10", "celery @ 1a"]
    assert sorted({*ordered}, key=by_column.in_order) == ordered
    pythons = ["3.9", "3.14", "3.14t", "3.14t + rq==2.9", "3.14t + rq==2.10"]
    assert sorted({*pythons}, key=by_column.in_order) == pythons
    # Those of a foreign run may be no versions at all.
    strange = [
        "celery==" + "9" * 5000,
        "celery==\N{SUPERSCRIPT TWO}",
        "== + ==",
        "\N{BENGALI DIGIT ONE}",
    ]
    assert len(sorted(strange, key=by_column.in_order)) == len(strange)


def test_a_slower_environment_is_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A made-up run in three environments: the second costs as much as the first, the third more.

    Two that are named are compared with each other, and a run without any is refused.
    """
    tables = dict(tables_of(SMALL))
    results = tmp_path / "results"
    campaigns.write(dict(tables), results / "runs/without")
    environments = {FIRST: 1.0, "celery==5.6.0": 1.0, "celery==5.7.0": 1.2}
    for table in ("trial", "metric"):
        parts = [
            tables[table].assign(trial_id=tables[table].trial_id.astype(str) + str(number))
            for number in range(len(environments))
        ]
        for part, (text, cost) in zip(parts, environments.items(), strict=True):
            if table == "trial":
                part["environment"] = text
            else:
                noise = np.exp(np.random.default_rng(7).normal(0, NOISE, len(part)))
                part["value"] = part["value"] * cost * (noise if text != FIRST else 1.0)
        tables[table] = pd.concat(parts, ignore_index=True)
    campaigns.write(tables, results / "runs/with")
    compare_by = ["compare", "--by", "environment", "--results", str(results)]
    metric = ["--metric", "makespan_s"]
    assert main([*compare_by, "with", *metric]) == 4
    printed = capsys.readouterr().out
    assert "B = celery==5.6.0: 0 worse, 0 better, 6 tie" in printed
    assert "B = celery==5.7.0: 6 worse" in printed
    equal = ["celery==5.5.3", "celery==5.6.0", "--run", "with"]
    assert main([*compare_by, *equal, *metric]) == 0
    assert main([*compare_by, "without", *metric]) == 3
    assert "Measure two: lab bench --with" in capsys.readouterr().err
    assert main([*compare_by, "celery==5.5.3", "celery==5.8", "--run", "with"]) == 2
    assert "Known: celery==5.5.3, celery==5.6.0" in capsys.readouterr().err
