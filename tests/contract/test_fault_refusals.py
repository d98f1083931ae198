"""Tests that a fault that cannot hit is one sentence, and that the campaign goes on."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import pytest

from lab.core.errors import ExitCode
from lab.core.faults import Role, Target
from lab.providers.local import LocalCluster
from lab.results.store import Store
from tests.conftest import RunCli

CELL = (
    "bench --provider local --preset quick --cores 1 --blocks 1 --tables-only --experiment faults"
)
NO_CHILD = "no process for child-kill"


def trials_of(results: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the trials with tasks and their hits; the control runs with jobs as well."""
    (run,) = results.glob("runs/*")
    store = Store(run)
    rows = store.read("trial").query("workload == 'io'").set_index("fault")
    ran = rows[rows.status != "skipped"]
    hits = [store.read("fault", store.trial_folder(str(trial_id), 1)) for trial_id in ran.trial_id]
    return rows, pd.concat(hits).set_index("fault")


def test_a_fault_that_the_provider_cannot_do_selects_nothing(
    run_cli: RunCli, tmp_path: Path
) -> None:
    """The sentence has the next step, and no run folder is created."""
    shown = run_cli(
        *CELL.split(), "--results", str(tmp_path), *["-b", "celery", "--fault", "network-cut"]
    )
    assert shown.returncode == ExitCode.NOTHING_SELECTED
    sentence = "Provider local cannot do the fault: it needs containers (--provider compose)."
    printed = " ".join(shown.stderr.split())
    assert f"{sentence} network-cut: celery[prefork] lab: Nothing to run" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_fault_without_a_target_is_a_row_and_the_campaign_goes_on(
    run_cli: RunCli, tmp_path: Path
) -> None:
    """A worker without children has no child to kill, which only the running trial shows."""
    faults = ["--fault", "network-cut", "--fault", "child-kill", "--fault", "none"]
    system = ["-b", "rq[simple-worker]", *faults, "--results", str(tmp_path)]
    shown = run_cli(*CELL.split(), *system)
    assert shown.returncode == ExitCode.FINE
    rows, hits = trials_of(tmp_path)
    assert rows.status.to_dict() == {"network-cut": "skipped", "child-kill": "ok", "none": "ok"}
    assert rows.reason["child-kill"] == f"The fault hit nothing: {NO_CHILD}."
    assert rows.reason["none"] == ""
    assert f"ok: The fault hit nothing: {NO_CHILD}." in " ".join(shown.stderr.split())
    assert {*hits.loc[["child-kill"]].status} == {"missed"}
    assert {*hits.loc[["child-kill"]].reason} == {NO_CHILD}
    assert (rows.n_hits["child-kill"], rows.n_hits["none"]) == (0, 1)


@pytest.mark.slow
def test_a_fault_that_would_hit_the_lab_is_refused_and_the_campaign_goes_on(
    run_cli: RunCli, tmp_path: Path
) -> None:
    """A provider that takes the lab for a part of the trial hits nothing."""

    def targets(_: LocalCluster, role: Role) -> list[Target]:
        return [Target(role, "node0-0", os.getpid())]

    fault = "broker-kill"
    words = [*CELL.split(), "-b", "rq", "--fault", fault, "--results", str(tmp_path)]
    with patch.object(LocalCluster, "targets", targets):
        shown = run_cli(*words)
    assert shown.returncode == ExitCode.FINE
    rows, hits = trials_of(tmp_path)
    assert rows.status.to_dict() == {fault: "ok"}
    assert {*hits.status} == {"missed"}
    refusal = f"node0-0 pid {os.getpid()} is not a process of this trial, so it is not hit."
    assert {*hits.reason} == {refusal}
    assert rows.reason[fault] == f"The fault hit nothing: {refusal}"
