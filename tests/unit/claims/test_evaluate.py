"""Tests claims on real backends: the command, and the features that only claims use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.claims import criteria, evaluate
from lab.claims.criteria import CRITERIA
from lab.cli import main
from lab.core.backend import services_of
from lab.core.model import Capability
from lab.planning import registry
from lab.planning.plan import Plan
from lab.providers.local import LocalCluster
from lab.results.store import Store
from tests.conftest import RunCli
from tests.contract.exactly_once import APART
from tests.factories.trials import run
from tests.unit.cli.test_main import lab

MOST_PAIRS = 6
FEATURES = {
    "retry": Capability.RETRY,
    "priority": Capability.PRIORITY,
    "monitoring": Capability.MONITOR,
}


def claim_rows(results: Path) -> dict[str, Any]:
    """Return the claim rows of the only run in a folder, by claim."""
    (folder,) = (results / "runs").iterdir()
    rows = Store(folder).read("claim")
    return {str(row.claim): row for row in rows.itertuples()}


def test_one_trial_serves_several_criteria(tmp_path: Path) -> None:
    """Threads wait at once in the submitter's process, and the row has the trial's id."""
    claims = ("-c", "concurrent", "-c", "shared-memory", "-c", "scheduling")
    shown = lab("claims", "-b", "thread-pool", *claims, "--results", str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    rows = claim_rows(tmp_path)
    assert {name: row.verdict for name, row in rows.items()} == dict.fromkeys(rows, "holds")
    assert rows["scheduling"].evidence == "The system runs no jobs at set times."
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "trials" / f"{rows['concurrent'].trials}-1" / "task.parquet").exists()
    assert "ThreadPoolExecutor" in shown.stdout
    assert "3 claims: 3 hold" in shown.stderr
    # Nothing is left to run: the exit code is that of all trials of the run.
    store = Store(folder)
    trials = store.read("trial")
    store.replace("trial", trials.assign(status=trials["status"].replace("ok", "failed")))
    assert lab("claims", "--resume", str(folder)).returncode == 1


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize(("name", "here"), [("thread-pool", "no"), ("process-pool", "yes")])
def test_two_cores_are_used_by_processes_only(
    name: str, here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the GIL. On a busy machine the claim is not measured."""
    whole = criteria.plan
    monkeypatch.setattr(criteria, "ATTEMPTS", 1)
    monkeypatch.setattr(
        criteria, "plan", lambda *arguments: Plan(whole(*arguments).trials[: 2 * MOST_PAIRS], ())
    )
    assert main.main(["claims", "-b", name, "-c", "parallel", "--results", str(tmp_path)]) == 0
    row = claim_rows(tmp_path)["parallel"]
    assert row.measured == here or row.verdict.startswith("not measured: the machine was busy")
    # Five valid pairs are enough, so one of the six may be disturbed.
    assert len(row.trials.split()) in ((10, 12) if row.measured else (12,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "celry"], "Did you mean 'celery'"),
        (["--claim", "paralel"], "Did you mean 'parallel'"),
        (["--resume", "nowhere"], "nowhere is not a run folder"),
    ],
)
def test_a_typo_has_a_suggestion(arguments: list[str], message: str, run_cli: RunCli) -> None:
    """The message has the closest name, and the exit code is 2."""
    shown = run_cli("claims", *arguments)
    assert shown.returncode == 2
    assert message in " ".join(shown.stderr.split())


def test_a_claim_that_is_not_published_selects_nothing(tmp_path: Path, run_cli: RunCli) -> None:
    """There is no claim about retries of threads: exit code 3, and no run folder."""
    shown = run_cli("claims", "-b", "threading", "-c", "retry", "--results", str(tmp_path / "r"))
    assert shown.returncode == 3
    assert not (tmp_path / "r").exists()


def with_features() -> Iterator[Any]:
    """Yield each backend's first variant with a feature that runs without containers."""
    for name, backend in registry.backends().items():
        for criterion, feature in FEATURES.items():
            for variant in backend.variants:
                local = set(services_of(backend, variant.name)) <= LocalCluster.offers
                if feature in variant.capabilities and local and name not in APART:
                    yield pytest.param(criterion, f"{name}[{variant.name}]")
                    break


@pytest.mark.slow
@pytest.mark.parametrize(("criterion", "label"), list(with_features()))
def test_a_declared_feature_works(criterion: str, label: str, tmp_path: Path) -> None:
    """Retries, priorities and monitors pass the check of their claim."""
    (spec,) = criteria.plan([(criterion, label)], seed=7).trials
    result = run(tmp_path, spec)
    assert (result.row.status, result.row.reason) == ("ok", "")
    trial = evaluate.records_of(result.row, result.tables, tmp_path / spec.id, "")
    observation = CRITERIA[criterion].judge([trial])
    assert observation.holds is True, observation.why


@pytest.mark.parametrize(
    ("label", "workload", "seen"),
    [
        ("thread-pool", "shared_global", 40),
        ("process-pool", "shared_global", 0),
        ("multiprocessing", "shared_block", 40),
    ],
)
def test_the_submitter_sees_changes_of_shared_data(
    label: str, workload: str, seen: int, tmp_path: Path
) -> None:
    """Threads share variables; processes share only a block of shared memory."""
    criterion = {"shared_global": "shared-variable", "shared_block": "shared-block"}[workload]
    (spec,) = criteria.plan([(criterion, label)], seed=7).trials
    result = run(tmp_path, spec)
    assert evaluate.records_of(result.row, result.tables, tmp_path / spec.id, "").seen == seen


def test_a_claim_that_another_criterion_tests_is_selected_by_its_name(
    tmp_path: Path, run_cli: RunCli
) -> None:
    """Also when no claim is named: until now such claims were never tested."""
    arguments = ("claims", "-b", "django-q", "-c", "without-receipts", "--dry-run")
    shown = run_cli(*arguments, "--results", str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    assert "worker-kill" in shown.stdout
