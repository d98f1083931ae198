"""Tests what the adapter of Ray starts, with a stand-in: its package is in no lock of the lab."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

from lab.backends.ray import Ray
from lab.core.model import BackendContext, Topology
from lab.planning import registry

PASSWORD = "0123456789abcdef"  # noqa: S105 (made up)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[MagicMock]:
    """Replace the package, and restore the environment, which the adapter changes."""
    stand_in = MagicMock(spec=ModuleType("ray"), name="ray")
    for name in ("init", "remote", "cluster_resources", "get", "wait", "shutdown", "util"):
        setattr(stand_in, name, MagicMock())
    stand_in.cluster_resources.return_value = {"CPU": 2.0, "node:127.0.0.1": 1.0}
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    monkeypatch.setitem(sys.modules, "ray.util", stand_in.util)
    before = dict(os.environ)
    yield stand_in
    os.environ.clear()
    os.environ.update(before)


def setup_of(label: str) -> BackendContext:
    """Return the setup of a label with two workers, in a trial with a password."""
    context = registry.setup(registry.select(label), Topology(1, 2, 2), {})
    return replace(context, password=PASSWORD)


def settings_after_start(label: str) -> dict[str, Any]:
    """Start the adapter, and return its effective settings."""
    backend = Ray(setup_of(label))
    backend.start()
    return dict(backend.effective_settings())


def test_nothing_leaves_the_machine_and_no_other_user_can_connect(started: MagicMock) -> None:
    """No statistics, no dashboard, sockets on loopback, and the password of the trial as token."""
    settings = settings_after_start("ray")
    options = started.init.call_args.kwargs
    assert (options["address"], options["num_cpus"]) == ("local", 2)
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert options["_temp_dir"] == tempfile.gettempdir()
    assert not options["include_dashboard"]
    assert (os.environ["RAY_USAGE_STATS_ENABLED"], os.environ["RAY_AUTH_MODE"]) == ("0", "token")
    assert os.environ["RAY_AUTH_TOKEN"] == PASSWORD
    assert PASSWORD not in json.dumps(settings)


@pytest.mark.parametrize(
    ("label", "retries"),
    [
        ("ray", {"max_retries": 3, "retry_exceptions": False}),
        ("ray[actors]", {"max_restarts": 0, "max_task_retries": 0}),
        ("ray[actors]@safe", {"max_restarts": -1, "max_task_retries": -1}),
    ],
)
def test_the_row_has_the_retries_in_force(
    started: MagicMock, label: str, retries: dict[str, Any]
) -> None:
    """And the resources of the cluster, without the name of the node."""
    settings = settings_after_start(label)
    assert settings.items() >= {"CPU": 2.0, **retries}.items()
    assert not [name for name in settings if name.startswith("node:")]
    assert started.remote.call_args.kwargs == retries
