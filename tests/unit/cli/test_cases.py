"""Tests the cases and references that options of `lab bench` select."""

from __future__ import annotations

import re

import pytest

from lab.cli.options import OPTIONS
from lab.cli.parser import parse
from lab.cli.selection import select
from lab.core.errors import ExitCode
from lab.core.model import Burst, Topology
from lab.core.preflight import PreflightResult
from lab.planning.plan import Plan, make_plan
from lab.planning.presets import PRESETS
from lab.running import preflight
from tests.conftest import RunCli

LOCAL = ("bench", "--provider", "local")


def plan(*words: str, preset: str = "quick") -> Plan:
    """Return the plan of a command line, without running it."""
    return make_plan(select(parse([*LOCAL, *words]), PRESETS[preset]))


def test_references_can_be_left_out() -> None:
    """Only the selected backend runs."""
    words = ("-b", "rq", "-w", "noop", "--cores", "1")
    assert {spec.backend for spec in plan(*words).trials} > {"rq", "inline"}
    assert {spec.backend for spec in plan(*words, "--no-references").trials} == {"rq"}


def test_the_sizes_in_the_help_of_the_workload_are_accepted() -> None:
    """Each names a workload with its unit."""
    text = OPTIONS["selection"]["--workload -w"]["help"]
    names = re.findall(r"\b[a-z]+:[0-9]\w*", text)
    assert len(names) == 2
    assert "lab list workloads" in text
    for name in names:
        trials = plan("-b", "thread-pool", "-w", name, "--cores", "1").trials
        assert {spec.workload for spec in trials} == {name.partition(":")[0]}


def test_the_plain_call_runs_beside_systems_on_several_cores() -> None:
    """It has one worker slot, so it runs on one core in the same blocks."""
    trials = plan("-b", "thread-pool", "-w", "cpu", "--cores", "2", preset="standard").trials
    inline = [spec for spec in trials if spec.backend == "inline"]
    assert {spec.topology for spec in inline} == {Topology(1, 1, 1)}
    assert {spec.block for spec in inline} == {spec.block for spec in trials}


def test_an_arrival_selects_the_cases_of_an_experiment() -> None:
    """Its other workloads are not offered in this way: tasks of `flaky` raise once."""
    trials = plan("-b", "celery", "-w", "shapes", "--arrival", "priority", "--cores", "1").trials
    assert {(spec.workload, spec.arrival.kind) for spec in trials} == {("io", "priority")}
    both = plan("-b", "celery", "-w", "shapes", "-w", "cpu", "--arrival", "priority").trials
    assert {spec.workload for spec in both} == {"io", "cpu"}


def test_a_workload_of_another_package_has_the_burst_of_the_preset(
    misbehaving: dict[str, str],
) -> None:
    """The size of a smoke test is not that of `standard`."""
    name = misbehaving["RAISING"]
    for preset, tasks in (("quick", 400), ("standard", 2_000)):
        trials = plan("-b", "inline", "-w", name, "--cores", "1", preset=preset).trials
        assert {spec.arrival for spec in trials} == {Burst(tasks)}


@pytest.mark.parametrize(
    ("waited", "uncertainty", "message"),
    [
        (0.02, "", "A call takes 5.80 ms, the fastest of 7.\n"),
        (0.88, "", "busy: the calls waited for a CPU for 88 % of the time, which is subtracted."),
        (0.02, "its 7 calls took 5 ms to 9 ms", "uncertain, because its 7 calls took 5 ms to 9 ms"),
    ],
)
def test_a_duration_that_was_disturbed_is_said_and_marked(
    waited: float,
    uncertainty: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The plan needs a duration all the same; its mark keeps every number from it."""
    result = PreflightResult(
        5_800_000,
        1,
        is_coroutine=False,
        unchecked="",
        n_calls=7,
        waited=waited,
        uncertainty=uncertainty,
    )
    monkeypatch.setattr(preflight, "run_preflight", lambda *_: result)
    words = ("--task", "tests.factories.user_tasks:add", "--args", "[1]", "-b", "inline")
    trials = plan(*words, "--cores", "1").trials
    assert {(spec.nominal_ns, spec.is_uncertain) for spec in trials} == {
        (5_800_000, bool(uncertainty))
    }
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--like", "RUN", "-b", "rq"], "--like repeats a plan as it is, so --backend would"),
        (["--like", "RUN", "--no-references"], "so --no-references would change nothing"),
        (["--resume", "RUN", "--cores", "1"], "--resume repeats a plan as it is, so --cores"),
        (["--resume", "RUN", "--blocks", "3"], "Leave out --blocks, or leave out --resume"),
        (["--provider", "docker"], "Unknown provider 'docker'. Known: compose, local, swarm."),
        (["--task", "a:b", "--task", "c:d"], "argument --task: given twice"),
        (["--task", "a:b", "--args", "[1]", "--args", "[2]"], "argument --args: given twice"),
    ],
)
def test_options_that_would_be_ignored_are_refused(
    words: list[str], message: str, run_cli: RunCli
) -> None:
    """The message names both options; nothing is called chosen that is rejected next."""
    shown = run_cli("bench", "--dry-run", *words)
    assert shown.returncode == ExitCode.USAGE
    text = " ".join(shown.stderr.split())
    assert message in text
    assert "as requested" not in text


def test_a_plan_without_a_trial_has_the_reason_and_an_exit_code(run_cli: RunCli) -> None:
    """The dry run ends as the run would."""
    words = ("bench", "-b", "celery[prefork+rabbitmq]@safe", "--no-references")
    shown = run_cli(*words, "--provider", "local", "--dry-run")
    assert shown.returncode == ExitCode.NOTHING_SELECTED
    assert "Add --provider compose" in " ".join(shown.stdout.split())
    assert "Nothing to run" in shown.stderr
