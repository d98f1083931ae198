"""Tests that the settings of a profile reach Dask's scheduler."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.backends.dask import SATURATION
from lab.core.model import Service
from lab.providers.local import LocalCluster
from lab.running import trial
from tests.factories.trials import spec_of


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "value"), [("default", 1.1), ("tuned", 2.0)])
def test_dask_scheduler_has_the_profiles_setting(
    profile: str, value: float, tmp_path: Path
) -> None:
    """The scheduler is a server, which reads the setting from its environment."""
    import dask.config
    from distributed import Client

    spec = spec_of(f"dask[distributed]@{profile}")
    outcome = trial.TrialObservation(spec, 1, tmp_path / spec.id, trial.place(spec), 1, "")
    cluster = LocalCluster(trial._site(outcome))
    try:
        endpoints = cluster.up().endpoints
        address = endpoints[Service.DASK_SCHEDULER]
        with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            assert client.run_on_scheduler(dask.config.get, SATURATION) == value
    finally:
        cluster.down()
