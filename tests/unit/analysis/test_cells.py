"""Tests that a new dimension of the cell is one field: no analysis needs another edit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from lab.analysis.cells import cell_key, cell_of
from lab.core.cell import CELL, Cell, cell_of_spec
from lab.core.faults import Fault, FaultKind
from lab.core.model import ARRIVALS, Chain, Paced, Retry
from lab.results.arrow_schema import schema
from tests.factories.trials import spec_of

ROOT = Path(__file__).parents[3]
# The whole edit of a new dimension: the field, and its value in a trial.
FIELD = '    fault: str = column("fault that the trial injects; empty: none")\n'
NEW_FIELD = FIELD + '    python: str = column("interpreter; empty: that of the lab")\n'
VALUE = '        fault=spec.fault.text if spec.fault else "",\n'
NEW_VALUE = VALUE + '        python="",\n'
# Two interpreters of one label, of which one spends twice the time on each task.
ANALYSIS = """
import json
from dataclasses import replace
from lab.analysis.capacity import capacities
from lab.analysis.estimates import estimates
from lab.analysis.queries import topology_names
from lab.analysis.reference_ratio import SAME
from lab.analysis.sweeps import sweeps
from lab.comparison.numbers import BASE_COLUMNS
from lab.results.arrow_schema import key_of, schema
from tests.factories import bursts

def under(trial, python):
    row, metrics = trial
    trial_id = f"{row.trial_id}-{python or 'own'}"
    return replace(row, trial_id=trial_id, python=python), [
        replace(metric, trial_id=trial_id) for metric in metrics
    ]

COST_S = {"": 300e-6, "3.14t": 600e-6}
trials, metrics = bursts.tables([
    under(bursts.burst(block, n, cost_s), python)
    for block in range(6) for n in (1_000, 2_000, 4_000) for python, cost_s in COST_S.items()
])
rows = estimates(trials, metrics, "c", with_noisy=True)
trends = sweeps(trials, metrics, "c")
print(json.dumps({
    "tables": [t for t in ("trial", "estimate", "trend") if "python" in schema(t).names],
    "keys": [t for t in ("estimate", "trend") if "python" in key_of(t)],
    "sides": ["python" in BASE_COLUMNS, "python" in SAME],
    "throughput": {r.python: r.estimate for r in rows
                   if r.metric == "throughput_per_s" and r.n_planned == 4_000},
    "marginal": {r.python: r.estimate for r in trends if r.metric == "marginal_s_per_task"},
    "sites": len(capacities(trials, metrics)),
    "titles": sorted(set(topology_names(trials))),
}))
"""


def test_a_new_dimension_separates_the_cells_of_every_analysis(tmp_path: Path) -> None:
    """A copy of the lab with one more field estimates, compares and names its cells apart."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lab", tmp_path / "lab", ignore=ignored)
    file = tmp_path / "lab" / "core" / "cell.py"
    text = file.read_text(encoding="utf-8")
    for old, new in ((FIELD, NEW_FIELD), (VALUE, NEW_VALUE)):
        assert text.count(old) == 1
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    run = subprocess.run(
        [sys.executable, "-c", ANALYSIS],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert seen["tables"] == ["trial", "estimate", "trend"]
    assert seen["keys"] == ["estimate", "trend"]
    assert seen["sides"] == [True, True]
    assert seen["throughput"][""] / seen["throughput"]["3.14t"] == pytest.approx(2, rel=0.02)
    assert seen["marginal"]["3.14t"] / seen["marginal"][""] == pytest.approx(2, rel=0.02)
    assert seen["sites"] == 2
    assert seen["titles"] == ["2 cores, 2 workers", "2 cores, 2 workers, python 3.14t"]


def test_a_table_about_cells_has_all_columns_of_the_cell() -> None:
    """They are neighbours, in the order of the fields."""
    for table in ("trial", "estimate", "trend"):
        names = schema(table).names
        start = names.index(CELL[0])
        assert names[start : start + len(CELL)] == CELL


def test_the_cell_of_a_spec_has_its_arrival_and_its_fault() -> None:
    """Each kind of arrival has its parameter under a name that says what it is."""
    cell = cell_of_spec(spec_of("celery", arrival=Paced(64, 50.0, "uniform")))
    assert (cell.arrival, cell.rate_hz, cell.interarrival) == ("paced", 50.0, "uniform")
    assert (cell.arrival_param_name, cell.arrival_param, cell.fault) == ("", None, "")
    chain = cell_of_spec(spec_of("celery", arrival=Chain(100, 5)))
    assert (chain.arrival, chain.arrival_param_name, chain.arrival_param) == (
        *("chain", "tasks_per_chain", 5.0),
    )
    retry = cell_of_spec(spec_of("celery", arrival=Retry(20, 1.0)))
    assert (retry.arrival_param_name, retry.arrival_param) == ("retry_delay_s", 1.0)
    hit = cell_of_spec(spec_of("celery", fault=Fault(FaultKind.WORKER_KILL)))
    assert hit.fault == "worker-kill"
    assert {chain.arrival, retry.arrival} <= set(ARRIVALS)


def test_cells_with_nulls_are_equal() -> None:
    """A rate is null in most cells, and nulls of a table do not compare equal."""
    cell = cell_of_spec(spec_of("inline"))
    nulls = Cell(**{field.name: getattr(cell, field.name) for field in fields(Cell)} | NAN)
    assert cell_key(cell) == cell_key(nulls)
    assert cell_of(nulls)["rate_hz"] is None


NAN = {"rate_hz": float("nan")}
