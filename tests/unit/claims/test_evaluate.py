"""Claims tried on real systems: through the command, and the promises that only probes ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.claims import evaluate, experiments
from lab.claims.experiments import QUESTIONS
from lab.cli import main
from lab.core.backend import services_of
from lab.core.model import Capability
from lab.planning import registry
from lab.planning.plan import Plan
from lab.providers.local import LocalCluster
from lab.results.store import Store
from tests.conftest import Told
from tests.factories.trials import run
from tests.unit.cli.test_main import lab

MOST_PAIRS = 6
PROMISES = {
    "retry": Capability.RETRY,
    "priority": Capability.PRIORITY,
    "monitoring": Capability.MONITOR,
}


def claim_rows(results: Path) -> dict[str, Any]:
    """Return what the only run of a folder says of each claim."""
    (folder,) = (results / "runs").iterdir()
    rows = Store(folder).read("claim")
    return {str(row.claim): row for row in rows.itertuples()}


def test_one_trial_answers_what_is_asked_of_it(tmp_path: Path) -> None:
    """Threads wait at once in the submitter's process, and the trial that shows it is named."""
    asked = ("-c", "concurrent", "-c", "shared-memory", "-c", "scheduling")
    shown = lab("claims", "-b", "thread-pool", *asked, "--results", str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    rows = claim_rows(tmp_path)
    assert {name: row.verdict for name, row in rows.items()} == dict.fromkeys(rows, "holds")
    assert rows["scheduling"].why == "thread-pool[executor] runs no jobs at set times."
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "trials" / f"{rows['concurrent'].trials}-1" / "task.parquet").exists()
    assert "ThreadPoolExecutor" in shown.stdout
    assert "3 claims: 3 hold" in shown.stderr


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize(("name", "here"), [("thread-pool", "no"), ("process-pool", "yes")])
def test_two_cores_are_used_by_processes_only(
    name: str, here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the GIL. On a machine that is busy the lab says no more than that."""
    whole = experiments.plan
    monkeypatch.setattr(experiments, "ATTEMPTS", 1)
    monkeypatch.setattr(
        experiments, "plan", lambda *asked: Plan(whole(*asked).trials[: 2 * MOST_PAIRS], ())
    )
    assert main.main(["claims", "-b", name, "-c", "parallel", "--results", str(tmp_path)]) == 0
    row = claim_rows(tmp_path)["parallel"]
    assert row.here == here or row.verdict.startswith("not measured: the machine was busy")
    # Five pairs that nothing disturbed are enough, and one of six may have been disturbed.
    assert len(row.trials.split()) in ((10, 12) if row.here else (12,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "celry"], "Did you mean 'celery'"),
        (["--claim", "paralel"], "Did you mean 'parallel'"),
        (["--resume", "nowhere"], "nowhere is not a run folder"),
    ],
)
def test_a_typo_is_told(arguments: list[str], message: str, told: Told) -> None:
    """The closest name is offered, with exit code 2."""
    shown = told("claims", *arguments)
    assert shown.returncode == 2
    assert message in " ".join(shown.stderr.split())


def test_what_the_seed_does_not_say_is_nothing_to_try(tmp_path: Path, told: Told) -> None:
    """It says nothing of retries by threads: exit code 3, and no run folder."""
    shown = told("claims", "-b", "threading", "-c", "retry", "--results", str(tmp_path / "r"))
    assert shown.returncode == 3
    assert not (tmp_path / "r").exists()


def promising() -> Iterator[Any]:
    """Name each backend's first variant that makes a promise and runs without containers."""
    for name, backend in registry.backends().items():
        for question, promise in PROMISES.items():
            for variant in backend.variants:
                local = set(services_of(backend, variant.name)) <= LocalCluster.offers
                if promise in variant.capabilities and local:
                    yield pytest.param(question, f"{name}[{variant.name}]")
                    break


@pytest.mark.slow
@pytest.mark.parametrize(("question", "label"), list(promising()))
def test_a_promise_is_kept(question: str, label: str, tmp_path: Path) -> None:
    """Who promises retries, priorities or a monitor has them, by the probe that asks for them."""
    asked = QUESTIONS[question]
    (spec,) = experiments.plan([(question, label)], seed=7).trials
    made = run(tmp_path, spec)
    assert (made.row.status, made.row.reason) == ("ok", "")
    found = asked.judge([evaluate.shown(made.row, made.tables, tmp_path / spec.id, "")])
    assert found.holds is True, found.why


@pytest.mark.parametrize(
    ("label", "workload", "seen"),
    [
        ("thread-pool", "shared_global", 40),
        ("process-pool", "shared_global", 0),
        ("multiprocessing", "shared_block", 40),
    ],
)
def test_a_submitter_sees_what_it_shares(
    label: str, workload: str, seen: int, tmp_path: Path
) -> None:
    """A variable is shared by threads and not by processes; those may share a block of memory."""
    question = {"shared_global": "shared-variable", "shared_block": "shared-block"}[workload]
    (spec,) = experiments.plan([(question, label)], seed=7).trials
    made = run(tmp_path, spec)
    assert evaluate.shown(made.row, made.tables, tmp_path / spec.id, "").seen == seen
