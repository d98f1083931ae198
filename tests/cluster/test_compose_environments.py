"""Tests that versions of packages run in images of their own, also one that the lab lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli.main import main
from lab.core.model import Burst
from lab.providers.engine import engine
from lab.results import run_names
from lab.results.store import Store
from tests.contract.exactly_once import assert_exactly_once
from tests.contract.test_ray import IN_ENVIRONMENT
from tests.factories.trials import run, spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("containers")]

VERSIONS = ("1.4.2", "1.5.1")


def test_two_versions_share_all_layers_below_their_packages(tmp_path: Path) -> None:
    """Each row has its image, and the facts of the run have the versions in it."""
    words = ["bench", "-b", "joblib", "--no-references", "-w", "noop", "--arrival", "burst"]
    words += ["--cores", "1", "--blocks", "1", "--provider", "compose", "--allow-disturbed"]
    for version in VERSIONS:
        words += ["--with", f"joblib=={version}"]
    main([*words, "--tables-only", "--results", str(tmp_path)])
    store = Store(run_names.find(None, tmp_path, print))
    trials = store.read("trial")
    assert list(zip(trials.status, trials.reason.fillna(""), strict=True)) == [("ok", "")] * 2
    known = store.read("environment").set_index("key").value
    for version in VERSIONS:
        assert known[f"in joblib=={version} (joblib): package.joblib"] == version
        assert known[f"in joblib=={version} (joblib): package.joblib.sha256"]
    names = {text.partition("@")[0] for text in trials.images}
    assert len(names) == 2
    with engine() as client:
        first, second = (client.images.get(n).attrs["RootFS"]["Layers"] for n in sorted(names))
    assert first[:-1] == second[:-1]
    assert first[-1] != second[-1]


def test_ray_runs_in_an_image_of_its_own(tmp_path: Path) -> None:
    """A container has less shared memory than the object store wants, which may not matter."""
    spec = spec_of("ray[actors]", arrival=Burst(500), provider="compose", **IN_ENVIRONMENT)
    assert_exactly_once(run(tmp_path, spec), raises=False)
