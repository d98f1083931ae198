"""Tests Ray in an environment of its own: its package is in no lock of the lab."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lab.core.model import Burst, Topology
from lab.environments.requirements import LOCKS
from tests.contract.exactly_once import assert_exactly_once
from tests.contract.test_backends import remaining_processes
from tests.factories.trials import run, spec_of

pytestmark = pytest.mark.slow

(VERSION,) = re.findall(r"^ray==(\S+)", (LOCKS / "ray.txt").read_text("utf-8"), re.MULTILINE)
IN_ENVIRONMENT: dict[str, Any] = {"environment": f"ray=={VERSION}", "deadline_s": 240.0}
TWO = Topology(1, 2, 2)


def test_each_task_runs_exactly_once_and_nothing_remains(
    tmp_path: Path, misbehaving: dict[str, str], temporary: Path
) -> None:
    """Neither a process of the cluster nor its session folder.

    One variant, as each start takes long; the other is in `test_compose_environments`.
    """
    spec = spec_of("ray[tasks]", misbehaving["MIXED"], Burst(500), TWO, size=1, **IN_ENVIRONMENT)
    result = run(tmp_path, spec)
    assert_exactly_once(result, raises=True)
    assert '"RAY_USAGE_STATS_ENABLED": "0"' in result.row.settings
    assert remaining_processes(result.row.trial_id) == []
    assert list(temporary.iterdir()) == []
