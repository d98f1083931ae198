"""Tests that plans read from files are limited to the ranges of the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lab.campaign import feasible, run_folder
from lab.cli.main import main
from lab.core.errors import ExitCode
from lab.core.provider import AgentAddress
from lab.core.serialization import (
    TrialRequest,
    order_from_json,
    order_to_json,
    spec_from_json,
)
from lab.planning import registry
from lab.planning.plan import Plan
from lab.planning.presets import EXPERIMENTS, OFFERED, PRESETS, STANDARD
from tests.factories.trials import spec_of

PLANNED = [
    ("nodes", {"topology": {"nodes": 65}}),
    ("nodes", {"topology": {"nodes": 0}}),
    ("cores_per_node", {"topology": {"cores_per_node": 10**9}}),
    ("workers_per_node", {"topology": {"workers_per_node": 10**9}}),
    ("quota_cpus", {"topology": {"quota_cpus": 1e9}}),
    ("drivers", {"topology": {"drivers": 0}}),
    ("drivers", {"topology": {"drivers": 65}}),
    ("warmup_tasks", {"warmup_tasks": 10**9}),
    ("deadline_s", {"deadline_s": 1e9}),
    ("size", {"workload": "payload", "size": 2**30 + 1}),
    ("nominal_ns", {"nominal_ns": 10**18}),
    ("n_tasks", {"arrival": {"n_tasks": 1_000_001}}),
    ("seconds", {"arrival": {"kind": "idle", "seconds": 86_401.0}}),
    ("rate_hz", {"arrival": {"kind": "paced", "n_tasks": 1, "rate_hz": 0.0}}),
    ("n_tasks / rate_hz", {"arrival": {"kind": "paced", "n_tasks": 999_999, "rate_hz": 1.0}}),
    (
        "n_occurrences",
        {"arrival": {"kind": "periodic", "n_tasks": 1, "n_occurrences": 10**9, "every_s": 1.0}},
    ),
    (
        "window in seconds",
        {"arrival": {"kind": "periodic", "n_tasks": 1, "n_occurrences": 9_999, "every_s": 60.0}},
    ),
]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with one trial that contains only its plan."""
    run = run_folder.Run(Plan((spec_of("inline"),), ()), "quick", 1, 0, "lab bench")
    return run_folder.create(tmp_path_factory.mktemp("planned"), run).folder


@pytest.mark.parametrize("command", ["bench --resume", "bench --like", "reproduce"])
@pytest.mark.parametrize(("name", "changes"), PLANNED)
def test_a_plan_is_limited_to_the_ranges_of_the_command_line(
    planned: Path,
    tmp_path: Path,
    command: str,
    name: str,
    changes: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The message contains the file, the number and its range."""
    run = tmp_path / "runs" / "run"
    shutil.copytree(planned, run)
    plan = json.loads((run / "plan.json").read_text())
    (spec,) = plan["trials"]
    for field, change in changes.items():
        is_same = isinstance(change, dict) and "kind" not in change
        spec[field] = {**spec[field], **change} if is_same else change
    (run / "plan.json").write_text(json.dumps(plan))
    trial_id = spec_from_json(spec).id
    arguments = command.split()
    arguments += [f"{run}/{trial_id}"] if command == "reproduce" else [str(run)]
    assert main([*arguments, "--results", str(tmp_path)]) == ExitCode.USAGE
    message = " ".join(capsys.readouterr().err.split())
    assert f"plan.json: {name} of trial {trial_id} is " in message
    assert ", and must be " in message
    assert [*(tmp_path / "runs").iterdir()] == [run]


def test_all_cells_of_the_lab_are_in_range() -> None:
    """No run of cases that can be selected is refused when it is resumed."""
    cases = {*STANDARD, *OFFERED.values()}
    cases |= {case for preset in PRESETS.values() for case in preset.cases}
    cases |= {case for group in EXPERIMENTS.values() for case in (*group.cases, *group.quick)}
    specs = [
        spec_of(
            "inline",
            case.workload,
            case.arrival,
            size=case.size or registry.workload(case.workload)[0].default_size,
        )
        for case in cases
    ]
    feasible.require_in_range(Path("plan.json"), specs)
    assert len(specs) > 10


def test_a_plan_that_takes_months_is_not_repeated(
    planned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each trial is in its range, but the campaign is too long."""
    shutil.copytree(planned, tmp_path / "run")
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    (spec,) = plan["trials"]
    idle = {"kind": "idle", "seconds": 86_400.0}
    plan["trials"] = [{**spec, "arrival": idle, "seed": seed} for seed in range(40)]
    (tmp_path / "run" / "plan.json").write_text(json.dumps(plan))
    assert main(["bench", "--like", str(tmp_path / "run"), "--dry-run"]) == ExitCode.USAGE
    message = " ".join(capsys.readouterr().err.split())
    assert "takes about 40 days, more than the limit of 30" in message


def test_an_order_names_the_agents_of_other_machines() -> None:
    """The driver reads from JSON what the provider started."""
    agents = (AgentAddress(0, "agent0", 7_000), AgentAddress(1, "10.0.0.7", 7_001))
    order = TrialRequest(spec_of("inline"), 12.5, agents)
    assert order_from_json(json.loads(json.dumps(order_to_json(order)))) == order
