"""Tests the systems of the standard library in other interpreters: driver and worker run there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.core.backend import capabilities
from lab.core.environment import Environment
from lab.core.model import Burst, Capability, Topology
from lab.planning import registry
from lab.worker import execution
from tests.contract.exactly_once import assert_exactly_once
from tests.factories.interpreters import interpreter
from tests.factories.trials import run, spec_of

pytestmark = pytest.mark.interpreters

VERSIONS = ("3.13t", "3.14")
SYSTEMS = ("threading", "thread-pool", "interpreter-pool", "multiprocessing", "process-pool")
# One variant for each start method: batches are sent by the same code in every interpreter.
LABELS = [
    f"{name}[{variant.name}]"
    for name in (*SYSTEMS, "asyncio")
    for variant in registry.backend(name).variants
    if Capability.SUBMIT in variant.capabilities and not variant.packages
]


def cases() -> list[tuple[str, str]]:
    """Return each version with each label that it supports."""
    pairs = [(version, label) for version in VERSIONS for label in LABELS]
    return [(v, x) for v, x in pairs if Environment(v).version >= registry.select(x).backend.python]


@pytest.mark.parametrize(("version", "label"), cases())
def test_five_hundred_tasks_run_exactly_once(
    version: str, label: str, tmp_path: Path, misbehaving: dict[str, str]
) -> None:
    """One in a hundred raises, which affects no other task."""
    interpreter(f"python{version}")
    is_parallel = Capability.PARALLEL in capabilities(*registry.select(label)[1:3])
    topology = Topology(1, 2, 2) if is_parallel else Topology(1, 1, 1)
    chosen = {"environment": version, "deadline_s": 240.0}
    spec = spec_of(label, misbehaving["MIXED"], Burst(500), topology, size=1, **chosen)
    assert_exactly_once(run(tmp_path, spec), raises=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("label", ["thread-pool", "asyncio[to_thread]", "process-pool[spawn]"])
def test_tasks_run_without_the_gil_in_a_free_threaded_build(
    version: str, label: str, tmp_path: Path
) -> None:
    """The tasks return whether the GIL is enabled in their worker, and the answers are checked."""
    interpreter(f"python{version}")
    answer = execution.checksum(not version.endswith("t"))
    spec = spec_of(label, "sys:_is_gil_enabled", Burst(20), environment=version, answer=answer)
    row = run(tmp_path, spec).row
    assert (row.status, row.reason, row.n_done, row.n_wrong_answer) == ("ok", "", 20, 0)
    assert row.answer_check == "inline call"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("label", ["multiprocessing[spawn]", "process-pool[spawn]"])
def test_settings_are_those_of_the_interpreter_of_the_driver(
    version: str, label: str, tmp_path: Path
) -> None:
    """Python 3.14 has another default start method; the start method in force is that selected."""
    interpreter(f"python{version}")
    settings = json.loads(run(tmp_path, spec_of(label, environment=version)).row.settings)
    default = "fork" if version == "3.13t" else "forkserver"
    assert settings["default_start_method"] == default
    assert "spawn" in (settings.get("start_method"), settings.get("mp_context"))


@pytest.mark.parametrize(("version", "default"), [("3.13t", "fork"), ("3.14", "forkserver")])
def test_processes_without_a_chosen_method_start_by_the_default_of_the_interpreter(
    version: str, default: str, tmp_path: Path
) -> None:
    """The reference of all pools: its row names that method."""
    interpreter(f"python{version}")
    settings = json.loads(run(tmp_path, spec_of("pipe", environment=version)).row.settings)
    assert settings["start_method"] == default
