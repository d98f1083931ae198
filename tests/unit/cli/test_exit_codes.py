"""Tests that exit codes are defined once, used by every command and shown in every help text."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lab.analysis.statistics import RefusedError
from lab.cli.main import main
from lab.cli.parser import parser
from lab.core.errors import (
    EXIT_CODES,
    ClusterError,
    ExitCode,
    LabError,
    NothingSelectedError,
    ResultsError,
    UsageError,
)
from lab.providers import choice
from tests.conftest import RunCli
from tests.factories import campaigns

ROOT = Path(__file__).parents[3]
COMMANDS = ("main", "claims", "compare", "history", "publish")
SMALL = campaigns.Campaign(
    blocks=3,
    systems=tuple(s for s in campaigns.SYSTEMS if s.backend in {"inline", "rq"}),
    workloads=("noop",),
    paced_tasks=40,
)


def test_the_codes_are_those_of_the_design() -> None:
    """The codes are those in README."""
    assert {code.name: code.value for code in ExitCode} == {
        "FINE": 0,
        "TRIAL_FAILED": 1,
        "USAGE": 2,
        "NOTHING_SELECTED": 3,
        "WORSE": 4,
        "MACHINE_FAILED": 5,
        "INTERRUPTED": 130,
    }
    assert all(f"{code.value} " in EXIT_CODES for code in ExitCode)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LabError, ExitCode.MACHINE_FAILED),
        (ClusterError, ExitCode.MACHINE_FAILED),
        (UsageError, ExitCode.USAGE),
        (ResultsError, ExitCode.USAGE),
        (NothingSelectedError, ExitCode.NOTHING_SELECTED),
        (RefusedError, ExitCode.NOTHING_SELECTED),
    ],
)
def test_each_error_has_its_code(error: type[LabError], code: ExitCode) -> None:
    """No error has the code of a failed trial or of a regression, which are results."""
    assert error("x").exit_code is code


def test_every_command_shows_the_codes() -> None:
    """`--help` of each command and the site contain the same sentence."""
    _, commands = parser()
    assert commands
    for name, command in commands.items():
        assert EXIT_CODES in " ".join(command.format_help().split()), name
    page = ROOT / "docs" / "run-the-lab.md"
    assert EXIT_CODES in " ".join(page.read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    "file",
    [
        *(ROOT / f"lab/cli/{name}.py" for name in COMMANDS),
        ROOT / "lab/providers/images/__main__.py",
    ],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_commands_return_only_exit_codes(file: Path) -> None:
    """A command returns a member of `ExitCode`, never a literal and never a truth value."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for returned in (node for node in ast.walk(tree) if isinstance(node, ast.Return)):
        value = returned.value
        assert not (isinstance(value, ast.Constant) and isinstance(value.value, int)), value.lineno
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            assert value.func.id != "int" or file.name == "main.py", value.lineno


def test_a_comparison_with_nothing_in_common_ends_in_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a number in common, the result is neither worse (4) nor fine (0)."""
    tables = dict(campaigns.campaign(SMALL))
    tables["metric"] = tables["metric"].assign(is_valid=0)
    run = campaigns.write(tables, tmp_path / "runs" / "unusable")
    assert main(["compare", str(run), str(run), "--results", str(tmp_path)]) == 3
    assert "no usable metric in common" in " ".join(capsys.readouterr().err.split())


def test_a_machine_that_cannot_host_a_cluster_ends_in_5(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_cli: RunCli
) -> None:
    """A failure of the engine before the run is not a failed trial."""

    def fail(*_: object) -> None:
        raise ClusterError("No container engine answers.")

    monkeypatch.setattr(choice, "prepare", fail)
    words = ("-b", "inline", "-w", "noop", "--provider", "local", "--results", str(tmp_path / "r"))
    shown = run_cli("bench", *words)
    assert shown.returncode == 5
    assert "No container engine answers." in shown.stderr
    assert not (tmp_path / "r").exists()
