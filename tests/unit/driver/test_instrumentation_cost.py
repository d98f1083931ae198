"""Tests the measurement of the instrumentation cost, and H, computed from it (METHOD M19)."""

from __future__ import annotations

import time
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lab.analysis.metrics.throughput import instrumentation_overhead
from lab.analysis.statistics import RefusedError
from lab.driver import instrumentation_cost
from lab.host import child_environment
from lab.results.schema import TrialRow
from lab.worker import execution, ledger
from tests.factories.rows import a_row

TRIAL: TrialRow = replace(a_row("trial"), n_sent=100, workers=4, worker_processes=1)


def tasks(rate_hz: float, n: int = 100) -> pd.DataFrame:
    """Make tasks that end at a constant rate."""
    return pd.DataFrame({"t4_ns": pd.array([round(i * 1e9 / rate_hz) for i in range(n)], "Int64")})


@pytest.mark.parametrize(
    ("processes", "left_us"),
    [(1, 100), (4, 400), (9, 400), (None, 100)],
)
def test_h_is_the_cost_over_the_rest_of_the_time(processes: int | None, left_us: float) -> None:
    """At 10 000 tasks/s, a task has 100 us in one process and 400 us in each of four; c is 1 us."""
    trial = replace(TRIAL, instrumentation_ns=1_000.0, worker_processes=processes)
    overhead = instrumentation_overhead(trial, tasks(10_000))
    assert overhead.value == pytest.approx(1 / (left_us - 1), rel=1e-3)
    assert overhead.method.startswith("at most c / (p / X - c), c = 1.00 us")


def test_a_task_that_is_mostly_instrumentation_has_a_lower_bound() -> None:
    """The formula has no solution then, and the result is the bound > 100 %."""
    overhead = instrumentation_overhead(replace(TRIAL, instrumentation_ns=2_000.0), tasks(400_000))
    assert (overhead.value, overhead.bound) == (1.0, ">")


def test_without_a_measured_cost_there_is_no_h() -> None:
    """A trial outside a campaign has no H; the refusal states the reason."""
    with pytest.raises(RefusedError, match="outside a campaign"):
        instrumentation_overhead(replace(TRIAL, instrumentation_ns=None), tasks(1_000))


def test_the_cost_is_that_of_the_instrumentation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An instrumentation that takes 20 us longer has a cost that is higher by that."""
    for name, value in {"LEDGER": str(tmp_path), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    execute, costs_ns = execution.execute, []

    def slower(*arguments: Any) -> None:
        until = time.monotonic_ns() + 20_000
        while time.monotonic_ns() < until:
            pass
        execute(*arguments)

    for number, recorded in enumerate((execute, slower)):
        ledger._forget()
        monkeypatch.setattr(execution, "execute", recorded)
        folder = tmp_path / str(number)
        folder.mkdir()
        instrumentation_cost.main(folder)
        costs_ns.append(float(capsys.readouterr().out))
    ledger._forget()
    assert costs_ns[0] > 0
    assert costs_ns[1] - costs_ns[0] > 10_000


def test_a_fresh_process_measures_the_cost() -> None:
    """A campaign measures in a separate process, whose records are not kept."""
    assert instrumentation_cost.cost_ns() > 0


def test_an_interpreter_without_packages_measures_its_own_cost(tmp_path: Path) -> None:
    """That of an environment may have none of the packages of the lab."""
    venv.create(tmp_path)
    python = str(tmp_path / "bin/python")
    assert instrumentation_cost.cost_ns(python, child_environment.import_path(python=python)) > 0
