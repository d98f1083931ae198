"""Tests the guides for metric, figure, provider and fault: each example runs as it is printed."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lab.analysis.metrics import registry
from lab.core import faults
from lab.core.model import Burst, Paced
from lab.figures import FIGURES, Tables, draw, save
from lab.providers import PROVIDERS
from lab.running import injector
from tests.factories.scripted_cluster import ScriptedCluster
from tests.factories.simulated import trial
from tests.factories.trials import run, spec_of

DOCS = Path(__file__).parents[2] / "docs"


def blocks(name: str, kind: str) -> list[str]:
    """Return the code blocks of a guide that are of one kind, ``python`` or ``py``."""
    text = (DOCS / f"add-a-{name}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def example(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the one complete example of a guide."""
    (code,) = blocks(name, "python")
    module = ModuleType(f"example_{name}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, f"add-a-{name}.md", "exec"), vars(module))  # noqa: S102 (our own page)
    return module


def tasks(starts_s: list[float | None]) -> pd.DataFrame:
    """Return tasks that were due at 0 s and started at these instants, or never."""
    frame = pd.DataFrame({"task_id": np.arange(len(starts_s)), "outcome": "ok"})
    for name in ("t0_ns", "t1_ns", "t2_ns"):
        frame[name] = pd.array([0] * len(starts_s), dtype="Int64")
    instants = [pd.NA if start is None else round(start * 1e9) for start in starts_s]
    frame["t3_ns"] = frame["t4_ns"] = pd.array(instants, dtype="Int64")
    frame["t5_ns"] = pd.array([pd.NA] * len(starts_s), dtype="Int64")
    frame.loc[frame["t3_ns"].isna(), "outcome"] = "unstarted"
    return frame


@pytest.mark.parametrize(
    ("starts_s", "t_end_s", "value"),
    [
        ([0.05, 0.05, 0.2, 0.3], 1.0, 0.5),
        ([0.05, None], 1.0, 0.5),
        ([0.05, None], 0.06, None),
        ([], 1.0, None),
    ],
)
def test_the_metric_is_in_the_table(
    starts_s: list[float | None],
    t_end_s: float,
    value: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The entry beside the function is all that the example needs; a refusal is a row."""
    (metric,) = example("metric", monkeypatch).metrics()
    monkeypatch.setitem(registry.METRICS, metric.name, metric)
    row = trial("paced", t_end_ns=round(t_end_s * 1e9), n_sent=len(starts_s))
    rows = {row.metric: row for row in registry.trial_metrics(row, tasks(starts_s))}
    assert rows["late_share"].value == value
    assert rows["late_share"].is_valid == int(value is not None)
    assert "late_share" not in {
        row.metric for row in registry.trial_metrics(trial("burst"), tasks(starts_s))
    }


def test_the_figure_is_drawn(
    synthetic: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example is a picture with data, and drawing its CSV again gives the same bytes."""
    chart = example("figure", monkeypatch).SUBMIT
    assert chart.name not in FIGURES
    picture = save(chart, synthetic, tmp_path)
    assert picture
    assert picture.stem.with_suffix(".png").stat().st_size > 10_000
    data = pd.read_csv(picture.stem.with_suffix(".csv"))
    assert set(data["kind"]) == {"trial", "estimate"}
    again = draw(chart, data)
    (ax,) = again.axes
    assert len(ax.get_yticks()) == data["name"].nunique()


def test_the_provider_runs_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example hosts a pool in the driver, counts its CPU time, and leaves no process."""
    place = f"{example('provider', monkeypatch).__name__}:DriverOnly"
    monkeypatch.setitem(PROVIDERS.places, "driver-only", place)
    row = run(tmp_path, spec_of("process-pool", "cpu", Burst(20), provider="driver-only")).row
    assert (row.status, row.reason) == ("ok", "")
    assert (row.n_done, row.provider) == (20, "driver-only")
    assert row.cpu_driver_ns
    assert row.cpu_workers_ns


def test_the_fault_hits_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and the entry are all that the example needs; the pause is proved and healed."""
    (entry,) = blocks("fault", "py")
    source = Path(faults.__file__).read_text(encoding="utf-8")
    extended = ModuleType("lab.core.faults")
    last = "    POWER_LOSS ="
    assert last in source
    code = compile(source.replace(last, f"    {entry}{last}"), "faults.py", "exec")
    monkeypatch.setitem(sys.modules, extended.__name__, extended)
    exec(code, vars(extended))  # noqa: S102 (our own module, with one line of our own page)
    kind = extended.FaultKind.SCHEDULER_PAUSE
    injection = example("fault", monkeypatch).INJECTION
    monkeypatch.setattr(injector, "injections", lambda: {kind: injection})
    fault = faults.Fault(kind, hits=1, heal_s=0.1)
    cluster: Any = ScriptedCluster(tmp_path / "ledger")
    running = injector.Injector(cluster, spec_of("celery", "io", Paced(10, 10.0), fault=fault))
    running.start(time.monotonic_ns() - 1_000_000_000)  # the hit is due at once
    while len(cluster.calls) < 2:
        time.sleep(0.01)
    (row,) = running.stop()
    assert cluster.calls == ["pause scheduler", "resume scheduler"]
    assert (row.fault, row.status, row.proof) == ("scheduler-pause", "hit", "state T")
    assert row.healed_ns is not None
